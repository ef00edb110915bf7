"""A stand-in between the server and Postgres that cuts or silences a connection at the worst moment: at COMMIT."""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Literal

COMMIT = b"COMMIT;\0"
COMMITTED_SECONDS = 0.1
"""So long after the COMMIT was handed on, Postgres has done it."""

Harm = Literal["before", "after", "inside", "silent"]
"""before: the COMMIT never arrives. after: it does, its answer is lost with the connection. inside: the connection ends
in the middle of the answer. silent: the answer is lost and the connection stays, without another word."""


class Proxy:
    """Listens on a port and hands on to Postgres' socket. `harm` happens to the next commits, `times` of them."""

    def __init__(self, target: Path, seed: int = 1) -> None:
        self._target = target
        self._draw = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.harm: Harm | None = None
        self.times = 0
        self.harmed = 0

    async def start(self) -> int:
        """Returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def next(self, harm: Harm, times: int) -> None:
        """What is to happen to the next commits."""
        self.harm, self.times = harm, times

    async def close(self) -> None:
        """Cut everything."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                there = await asyncio.open_unix_connection(str(self._target))
                await _Link(self, (reader, writer), there).run()
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    def take(self) -> Harm | None:
        """The harm for the commit that passes now."""
        if self.harm is None or self.times <= 0:
            return None
        self.times -= 1
        self.harmed += 1
        return self.harm


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection through the stand-in."""

    def __init__(self, proxy: Proxy, client: Pair, postgres: Pair) -> None:
        self._proxy = proxy
        self._client = client
        self._postgres = postgres
        self._harm: Harm | None = None

    async def run(self) -> None:
        both = [asyncio.create_task(self._to_postgres()), asyncio.create_task(self._to_client())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._client[1].transport.abort()
            self._postgres[1].transport.abort()

    async def _to_postgres(self) -> None:
        while data := await self._client[0].read(65536):
            if COMMIT in data and self._harm is None:
                self._harm = self._proxy.take()
                if self._harm == "before":
                    return
            self._postgres[1].write(data)
            await self._postgres[1].drain()
            if self._harm == "after":
                await asyncio.sleep(COMMITTED_SECONDS)
                return

    async def _to_client(self) -> None:
        while data := await self._postgres[0].read(65536):
            if self._harm == "inside":
                self._client[1].write(data[: len(data) // 2])
                await self._client[1].drain()
                return
            if self._harm is None:
                self._client[1].write(data)
                await self._client[1].drain()
        if self._harm == "silent":
            await asyncio.Event().wait()
