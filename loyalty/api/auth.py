"""Who may call what: a guard for each call, which asks first for the key and then for the role (DESIGN.md 7)."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from loyalty.api.context import Context
from loyalty.errors import Forbidden, Unauthenticated
from loyalty.keys import Identity

ALL = ("pos", "eshop", "ops", "member")
STAFF = ("pos", "eshop", "ops")
SHOPS = ("pos", "eshop")
OPS = ("ops",)
ADMIN: tuple[str, ...] = ()
"""Roles of a call, without `admin`, who may call everything."""

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]


def allow(roles: tuple[str, ...]) -> Guard:
    """A guard that lets in valid keys of these roles, and of `admin`."""
    allowed = frozenset((*roles, "admin"))

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        scope = connection.scope
        held: Context = scope["litestar_app"].state["context"]
        secret = _secret(scope["headers"])
        found = held.keys.get(secret) or await held.keys.find(secret)
        if found is None:
            raise Unauthenticated("This key is not known here, or it was revoked.")
        if found.role not in allowed:
            raise Forbidden(f"A key of role {found.role} may not make this call.")
        scope["auth"] = found

    return guard


def caller(connection: ASGIConnection[Any, Any, Any, Any]) -> Identity:
    """Who makes this call; known once its guard has let it in."""
    found: Identity = connection.scope["auth"]
    return found


def _secret(headers: Any) -> bytes:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            if scheme.lower() == b"bearer" and secret:
                return bytes(secret.strip())
            raise Unauthenticated("Send the key as 'Authorization: Bearer KEY'.")
    raise Unauthenticated("Send a key as 'Authorization: Bearer KEY'.")
