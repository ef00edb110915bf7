"""Around every request: its id, one line in the log, its figures. No personal data: the route, not the path."""

import itertools
import logging
import re
import secrets
import sys
import time
from urllib.parse import unquote

import msgspec
import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from loyalty.api.metrics import observe
from loyalty.api.problems import problem_reply
from loyalty.api.reading import ESCAPED_SLASH
from loyalty.errors import InvalidRequest
from loyalty.settings import Settings

UNROUTED = "-"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_TRACE_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
_PROCESS = secrets.token_hex(4).encode()
_count = itertools.count(1)
"""An id has to be one of a kind, not a secret: random bits for each request would cost more than its log line."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Observer:
    """ASGI middleware outside of Litestar's router, so that it also sees what the router refuses."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._log = _request_log(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope["request_id"] = request_id.decode()  # type: ignore[typeddict-unknown-key]  # a key of our own
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
                await self._app(scope, receive, answered)
        finally:
            seconds = time.perf_counter() - started
            route = scope.get("path_template") or UNROUTED
            asked = scope["method"]  # type: ignore[typeddict-item]  # no scope is a web socket's: uvicorn has ws="none"
            method = asked if asked in _METHODS else "OTHER"
            observe(method, route, status, seconds)
            self._log.info(
                "request_answered",
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                request_id=request_id.decode(),
            )


def _request_log(settings: Settings) -> "structlog.typing.FilteringBoundLogger":
    """The log of requests. As JSON it goes past the standard module, which would cost as much as the routing."""
    if settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty()):
        console: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        return console
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    lean: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(sys.stderr.buffer),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return lean.bind()


def _json(event: object, **_unused: object) -> bytes:
    return msgspec.json.encode(event)


def _request_id(scope: Scope) -> bytes:
    """The caller's X-Request-Id, else the trace id of its `traceparent`, else one of our own."""
    trace = None
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
        if name == b"traceparent" and (found := _TRACE_PARENT.fullmatch(value)) is not None:
            trace = found[1]
    if trace is not None:
        return bytes(trace)
    return b"%s%08x" % (_PROCESS, next(_count))


def _keep_slashes(scope: Scope) -> None:
    """Ids may hold a slash, written %2F in a path; the server has decoded it, which would split the id."""
    raw: bytes = scope["raw_path"]
    if b"%2f" in raw or b"%2F" in raw:
        segments = raw.partition(b"?")[0].decode("ascii").split("/")
        scope["path"] = "/".join(unquote(segment).replace("/", ESCAPED_SLASH) for segment in segments)
