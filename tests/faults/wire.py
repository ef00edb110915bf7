"""HTTP as a till speaks it, over a plain socket: quick, and it can stop in the middle of anything."""

import asyncio
from dataclasses import dataclass

from tests.e2e.face import ADMIN_KEY

LOST = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError)
"""No answer: the connection was refused, cut, or stayed silent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer's status, headers (names in lower case) and bytes."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def replayed(self) -> bool:
        """Whether it was given before."""
        return self.headers.get("idempotent-replayed") == "true"


@dataclass(frozen=True, slots=True)
class Call:
    """A request's method, path, body and media type."""

    method: str
    path: str
    body: bytes = b""
    media: str = "application/json"

    def encode(self) -> bytes:
        """As it goes over the wire."""
        head = (
            f"{self.method} {self.path} HTTP/1.1\r\nhost: loyalty\r\nauthorization: Bearer {ADMIN_KEY}\r\n"
            f"content-type: {self.media}\r\ncontent-length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


class Line:
    """One till's connection to a port, opened when needed and again after it was lost."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port = port
        self._seconds = seconds
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, call: Call) -> Reply:
        """The answer. Raises one of LOST, after which the next call connects anew."""
        try:
            async with asyncio.timeout(self._seconds):
                reader, writer = await self._connected()
                writer.write(call.encode())
                await writer.drain()
                return await _read(reader)
        except BaseException:
            self.close()
            raise

    async def hang_up(self, call: Call, share: float) -> None:
        """Send this share of the request's bytes (1: all of them), then cut the line without listening."""
        try:
            async with asyncio.timeout(self._seconds):
                _, writer = await self._connected()
                data = call.encode()
                writer.write(data[: round(len(data) * share)])
                await writer.drain()
                await asyncio.sleep(0)
                writer.transport.abort()
        finally:
            self.close()

    def close(self) -> None:
        """Cut the line."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**24)
        return self._reader, self._writer


async def _read(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Reply(int(head[0].split()[1]), headers, body)
