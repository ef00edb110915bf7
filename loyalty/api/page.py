"""The page to try the calls with: Swagger UI from a package, so that it works without the internet."""

from functools import cache
from importlib.resources import files
from typing import Any

from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath
from litestar.router import Router

from loyalty.api.reply import Reply

_ASSETS = {
    "swagger-ui.css": b"text/css; charset=utf-8",
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
}
_CACHED = [(b"cache-control", b"public, max-age=86400")]

_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Loyalty points engine</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/schema/assets/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/schema/assets/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({
  url: "/schema/openapi.json", dom_id: "#ui", deepLinking: true, persistAuthorization: true,
  defaultModelsExpandDepth: 0, displayRequestDuration: true, tryItOutEnabled: true, validatorUrl: null
});
</script>
</body>
</html>
"""


class OfflineSwagger(OpenAPIRenderPlugin):
    """Litestar's page at /schema, with script and style served from here."""

    def __init__(self) -> None:
        super().__init__(path="/swagger")

    def render(self, _request: Request[Any, Any, Any], _openapi_schema: dict[str, Any]) -> bytes:
        """The page, the same for everybody."""
        return _PAGE

    def receive_router(self, router: Router) -> None:
        """Add the routes of the assets."""
        router.register(asset)


@get("/", include_in_schema=False)
async def front(request: Request[Any, Any, Any]) -> Reply:  # noqa: ARG001 -- Litestar passes it by this name
    """Lead who opens the server in a browser to the page of calls."""
    return Reply(b"", 307, headers=[(b"location", b"/schema")])


@get("/assets/{name:str}", include_in_schema=False)
async def asset(name: FromPath[str]) -> Reply:
    """Serve one of the assets."""
    if name not in _ASSETS:
        raise NotFoundException
    return Reply(_read(name), media_type=_ASSETS[name], headers=_CACHED)


@cache
def _read(name: str) -> bytes:
    return (files("swagger_ui") / "static" / name).read_bytes()
