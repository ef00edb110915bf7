"""Clients that dawdle or crowd: connections are closed whose request or whose reading of an answer takes too long, and
beyond a number of connections the one whose client has been silent longest makes room for the next. A connection that
sends wrong requests again and again is read more slowly: a flood of rubbish would take the turns of honest tills.

One look a second at all connections costs the requests nothing; a timer for each would. uvicorn's `limit_concurrency`
is not set: it refuses whoever comes last, which a client that opens thousands of connections never is.
"""

import asyncio
import time
from typing import Any, ClassVar, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from loyalty.api.problems import problem_reply
from loyalty.api.transport import WholeAnswers
from loyalty.errors import Overloaded

HEAD_SECONDS = 10.0
"""From the connection, or the first byte of the next request, to the end of its head."""
BODY_SECONDS = 60.0
READING_SECONDS = 30.0
"""How long a client may leave an answer unread that does not fit into the network's buffers."""
WRONG = frozenset((b"400", b"401", b"403", b"405", b"413", b"415", b"429", b"503"))
"""Statuses of requests that are wrong whatever the ledger holds, and of those that come too often or too soon."""
PAUSE_SECONDS = 0.001
"""How long a connection is not read after such a request. Each further one doubles it, at most to:"""
LONGEST_PAUSE_SECONDS = 0.1
LOOK_SECONDS = 1.0
CONNECTIONS = 10_000
"""Connections of a process, where the system lets it open so many files."""
OTHER_FILES = 128
"""Files that a process opens beside its connections."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s"
)

log = structlog.get_logger()


class Connection(HttpToolsProtocol):
    """uvicorn's, which notes what the client has owed since when, makes room for others, and sends each answer in one
    piece.

    most: how many of them there may be. silent: those whose request has not come yet, the longest silent first.
    wrong: how many requests of this one were wrong since the last that was right.
    """

    most: ClassVar[int] = CONNECTIONS
    alive: ClassVar[set[Any]] = set()
    silent: ClassVar[dict["Connection", None]] = {}
    owes = ""
    owes_since = 0.0
    wrong = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        Connection.alive = self.connections

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.answers = WholeAnswers(transport)
        self.transport = cast("asyncio.Transport", self.answers)
        if len(self.connections) > Connection.most:
            self._make_room()
        Connection.silent[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        Connection.silent.pop(self, None)
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        Connection.silent.pop(self, None)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        self.answers.flush()
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            Connection.silent[self] = None
        self._brake()

    def _brake(self) -> None:
        """Leaves a connection alone for a while whose last request was wrong; one that is right makes up for it."""
        if self.answers.status not in WRONG:
            if self.answers.status < b"400":
                self.wrong = 0
            return
        pause = min(PAUSE_SECONDS * 2 ** min(self.wrong, 10), LONGEST_PAUSE_SECONDS)
        self.wrong += 1
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(pause, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _make_room(self) -> None:
        """Closes the connection that has been silent longest; this one, if all others are being served."""
        one = next(iter(Connection.silent), None)
        if one is not None:
            del Connection.silent[one]
            one.transport.abort()
            return
        log.warning("connections_full", connections=len(self.connections))
        full = Overloaded("All connections of this server are being served. Try again.", retry_after=1)
        body = problem_reply(full).body
        self.transport.write(_FULL % (len(body), body))
        self.transport.close()

    def owed(self) -> str:
        """What the server waits for: `head`, `body` or `reading`; empty when it is the server's turn."""
        if self.flow.write_paused:
            return "reading"
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is None or cycle.response_complete:
            return "" if self.timeout_keep_alive_task is not None else "head"
        return "body" if cycle.more_body else ""


def open_connections() -> None:
    """Let this process open as many files as it may, and keep its connections below that."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        Connection.most = max(1, soft - OTHER_FILES)


async def watch(
    head: float = HEAD_SECONDS, body: float = BODY_SECONDS, reading: float = READING_SECONDS
) -> None:
    """Look at all connections of this process, for ever, and close those whose client is too slow, in seconds."""
    bounds = {"head": head, "body": body, "reading": reading}
    while True:
        await asyncio.sleep(min(LOOK_SECONDS, *bounds.values()))
        now = time.monotonic()
        for connection in [one for one in Connection.alive if isinstance(one, Connection)]:
            owed = connection.owed()
            if owed != connection.owes:
                connection.owes, connection.owes_since = owed, now
            elif owed and now - connection.owes_since >= bounds[owed]:
                log.info("slow_client_left", owed=owed)
                connection.transport.abort()
