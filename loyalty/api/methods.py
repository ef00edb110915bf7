"""Which methods a path takes, for OPTIONS and for the refusal of others (RFC 9110, 10.2.1)."""

import re

from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from loyalty.api.reply import Reply


class Methods:
    """Answers OPTIONS before the router does, whose own answer forgets handlers that share a path."""

    def __init__(self, app: Litestar) -> None:
        self._router: ASGIApp = app.asgi_handler
        listed = [route for route in app.routes if isinstance(route, HTTPRoute)]
        listed.sort(key=lambda route: len(route.path_parameters))
        self._paths = [(_shape(route.path_format), _methods(route)) for route in listed]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "OPTIONS" and (methods := self.of(scope["path"])):
            await Reply(b"", 204, headers=[(b"allow", methods.encode())])(scope, receive, send)
        else:
            await self._router(scope, receive, send)

    def of(self, path: str) -> str:
        """The methods of a path as `Allow` lists them; empty when nothing is there."""
        return next((methods for shape, methods in self._paths if shape.fullmatch(path)), "")


def _shape(path: str) -> re.Pattern[str]:
    parts = ("[^/]+" if part.startswith("{") else re.escape(part) for part in path.rstrip("/").split("/"))
    return re.compile("/".join(parts) + "/?")


def _methods(route: HTTPRoute) -> str:
    shown = (handler for handler in route.route_handlers if handler.resolve_include_in_schema())
    return ", ".join(sorted({method for handler in shown for method in handler.http_methods}))
