"""What handlers answer with: bytes that are sent as they are."""

from typing import Any

import msgspec
from litestar import Response
from litestar.types import Receive, Scope, Send

from loyalty.engine.answers import Answer

JSON = b"application/json"
_encode = msgspec.json.Encoder(decimal_format="number").encode
_REPLAYED = (b"idempotent-replayed", b"true")


class Reply:
    """An ASGI application that sends one answer. It is the lean way out of Litestar, which returns it untouched."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        *,
        media_type: bytes = JSON,
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        self.body = body
        self.status = status
        self.media_type = media_type
        self.headers = headers or []

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", self.media_type),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
        ]
        if self.status == 204:
            headers = self.headers
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    def as_response(self) -> Response[bytes]:
        """The same as a Litestar response, for where Litestar insists on one."""
        headers = {name.decode(): value.decode() for name, value in self.headers}
        return Response(
            self.body, status_code=self.status, media_type=self.media_type.decode(), headers=headers
        )


def reply(value: Any, status: int = 200) -> Reply:
    """Answer with a value as JSON; bytes are JSON already."""
    return Reply(value if isinstance(value, bytes) else _encode(value), status)


def created(answer: Answer) -> Reply:
    """201 with the stored bytes; 200 and the header when they were given before."""
    return Reply(answer.body, 200, headers=[_REPLAYED]) if answer.replayed else Reply(answer.body, 201)


def recorded(value: Any, replayed: bool) -> Reply:
    """201 with a value; 200 and the header when it was recorded before."""
    return Reply(_encode(value), 200, headers=[_REPLAYED]) if replayed else Reply(_encode(value), 201)


def ended(answer: Answer) -> Reply:
    """200 with the stored bytes, and the header when they were given before."""
    return Reply(answer.body, 200, headers=[_REPLAYED] if answer.replayed else None)
