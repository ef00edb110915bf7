"""Clients that dawdle: connections are closed whose request or whose reading of an answer takes too long.

One look a second at all connections costs the requests nothing; a timer for each would.
"""

import asyncio
import time
from typing import Any, ClassVar, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from loyalty.api.transport import WholeAnswers

HEAD_SECONDS = 10.0
"""From the connection, or the first byte of the next request, to the end of its head."""
BODY_SECONDS = 60.0
READING_SECONDS = 30.0
"""How long a client may leave an answer unread that does not fit into the network's buffers."""
LOOK_SECONDS = 1.0

log = structlog.get_logger()


class Connection(HttpToolsProtocol):
    """uvicorn's, which notes what the client has owed since when, and sends each answer in one piece."""

    alive: ClassVar[set[Any]] = set()
    owes = ""
    owes_since = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        Connection.alive = self.connections

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.answers = WholeAnswers(transport)
        self.transport = cast("asyncio.Transport", self.answers)

    def on_response_complete(self) -> None:
        self.answers.flush()
        super().on_response_complete()

    def owed(self) -> str:
        """What the server waits for: `head`, `body` or `reading`; empty when it is the server's turn."""
        if self.flow.write_paused:
            return "reading"
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is None or cycle.response_complete:
            return "" if self.timeout_keep_alive_task is not None else "head"
        return "body" if cycle.more_body else ""


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
