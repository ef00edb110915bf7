"""Who may call what: a check before each call asks first for the key and then for the role (DESIGN.md 7)."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from litestar import Request

from loyalty.api.context import Context
from loyalty.api.reply import Reply
from loyalty.errors import Forbidden, Unauthenticated
from loyalty.keys import Identity

ALL = ("pos", "eshop", "ops", "member")
STAFF = ("pos", "eshop", "ops")
SHOPS = ("pos", "eshop")
OPS = ("ops",)
ADMIN: tuple[str, ...] = ()
"""Roles of a call, without `admin`, who may call everything."""

Handler = Callable[[Request[Any, Any, Any]], Awaitable[Reply]]


def allow(roles: tuple[str, ...], handler: Handler) -> Handler:
    """The handler behind a check: it lets in valid keys of these roles, and of `admin`.

    Not one of Litestar's guards: for each of those Litestar copies the whole route, a quarter of a request's cost.
    """
    allowed = frozenset((*roles, "admin"))

    @wraps(handler)
    async def checked(request: Request[Any, Any, Any]) -> Reply:
        scope = request.scope
        held: Context = scope["litestar_app"].state["context"]
        secret = _secret(scope["headers"])
        found = held.keys.get(secret) or await held.keys.find(secret)
        if found is None:
            raise Unauthenticated("This key is not known here, or it was revoked.")
        if held.limiter is not None:
            await held.limiter.take(found)
        if found.role not in allowed:
            raise Forbidden(f"A key of role {found.role} may not make this call.")
        scope["auth"] = found
        return await handler(request)

    return checked


def caller(request: Request[Any, Any, Any]) -> Identity:
    """Who makes this call; known once the check has let it in."""
    found: Identity = request.scope["auth"]
    return found


def _secret(headers: Any) -> bytes:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            if scheme.lower() == b"bearer" and secret:
                return bytes(secret.strip())
            raise Unauthenticated("Send the key as 'Authorization: Bearer KEY'.")
    raise Unauthenticated("Send a key as 'Authorization: Bearer KEY'.")
