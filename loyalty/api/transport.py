"""Answers leave in one piece: uvicorn writes head and body apart, each a system call, a packet and a waking of the
client."""

import asyncio
from typing import Any

_INTERIM = b"HTTP/1.1 100"


class WholeAnswers:
    """A transport that keeps an answer's head back until its body, its end or the connection's comes.

    status: of the last answer, in three bytes.
    """

    __slots__ = ("_head", "_transport", "status")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.status = b""

    def write(self, data: bytes) -> None:
        """Sends data, the head that waited before it; keeps a head back."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(_INTERIM):
            self._head = data
            self.status = data[9:12]
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Sends a head that no body follows."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Sends what waits, then closes."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
