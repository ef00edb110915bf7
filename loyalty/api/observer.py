"""Around every request: its id, one line in the log, its figures. No personal data: the route, not the path."""

import re
import secrets
import time
from urllib.parse import unquote

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from loyalty.api.metrics import observe
from loyalty.api.problems import problem_reply
from loyalty.api.reading import ESCAPED_SLASH
from loyalty.errors import InvalidRequest

log = structlog.get_logger()

UNROUTED = "-"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Observer:
    """ASGI middleware outside of Litestar's router, so that it also sees what the router refuses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = _request_id(scope)
        status = 0

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            if _CONTROL.search(scope["path"]) is not None:
                await problem_reply(InvalidRequest("The path holds a control character."))(
                    scope, receive, answered
                )
            else:
                _keep_slashes(scope)
                with structlog.contextvars.bound_contextvars(request_id=request_id.decode()):
                    await self._app(scope, receive, answered)
        finally:
            seconds = time.perf_counter() - started
            route = scope.get("path_template") or UNROUTED
            method = asked if (asked := scope["method"]) in _METHODS else "OTHER"  # type: ignore[typeddict-item]
            observe(method, route, status, seconds)
            log.info(
                "request_answered",
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                request_id=request_id.decode(),
            )


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()


def _keep_slashes(scope: Scope) -> None:
    """Ids may hold a slash, written %2F in a path; the server has decoded it, which would split the id."""
    raw: bytes = scope["raw_path"]
    if b"%2f" in raw or b"%2F" in raw:
        segments = raw.partition(b"?")[0].decode("ascii").split("/")
        scope["path"] = "/".join(unquote(segment).replace("/", ESCAPED_SLASH) for segment in segments)
