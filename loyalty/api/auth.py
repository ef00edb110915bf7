"""Who may call what: a check before each call asks first for the key and then for the role (DESIGN.md 7)."""

import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from litestar import Request

from loyalty.acts import Actor, acting
from loyalty.api.context import Context
from loyalty.api.reply import Reply
from loyalty.errors import Forbidden, Overloaded, Unauthenticated
from loyalty.keys import Identity
from loyalty.members.token import read_token

ALL = ("pos", "eshop", "ops", "member")
STAFF = ("pos", "eshop", "ops")
SHOPS = ("pos", "eshop")
OPS = ("ops",)
ADMIN: tuple[str, ...] = ()
"""Roles of a call, without `admin`, who may call everything."""

_ACT = ("ops", "admin")
"""Roles whose acts are written down."""

UNDER_WAY_A_KEY = 512
"""Calls of one key that a process serves at once: many more than keep it busy, and few enough for the next key's to
come soon."""

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
        found = held.keys.get(secret) or _member(held, secret) or await held.keys.find(secret)
        if found is None:
            raise Unauthenticated("This key is not known here, or it has ended or was revoked.")
        if held.limiter is not None:
            await held.limiter.take(found)
        if found.role not in allowed:
            raise Forbidden(f"A key of role {found.role} may not make this call.")
        if found.member_id is not None and scope["path_params"]["member"] != found.member_id:
            raise Forbidden("A member's token reads that member's own data, called by the member_id alone.")
        scope["auth"] = found
        if found.role in _ACT:
            request_id: str = scope["request_id"]  # type: ignore[typeddict-item]  # the Observer's
            acting.set(Actor(found.key_id, found.name, request_id))
        under_way = held.under_way
        if under_way[found.key_id] >= UNDER_WAY_A_KEY:
            raise Overloaded(
                f"{UNDER_WAY_A_KEY} calls of this key are under way. Try again when some are answered.",
                retry_after=1,
            )
        under_way[found.key_id] += 1
        try:
            return await handler(request)
        finally:
            under_way[found.key_id] -= 1
            if not under_way[found.key_id]:
                del under_way[found.key_id]

    return checked


def caller(request: Request[Any, Any, Any]) -> Identity:
    """Who makes this call; known once the check has let it in."""
    found: Identity = request.scope["auth"]
    return found


def own_store(who: Identity, store: str | None) -> None:
    """See that a key which belongs to a store records purchases of that store. Raises Forbidden."""
    if who.store is not None and who.store != store:
        raise Forbidden(
            f"This key records purchases of store {who.store} alone: send them with that `store`."
        )


def _member(held: Context, secret: bytes) -> Identity | None:
    """Who bears this token; it lives no longer than the key that made it."""
    token = read_token(held.engine.vault, secret)
    if token is None or token.ends_at <= time.time() or not held.keys.holds(token.key_id):
        return None
    return Identity(f"member/{token.member_id}", "member", member_id=token.member_id)


def _secret(headers: Any) -> bytes:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            if scheme.lower() == b"bearer" and secret:
                return bytes(secret.strip())
            raise Unauthenticated("Send the key as 'Authorization: Bearer KEY'.")
    raise Unauthenticated("Send a key as 'Authorization: Bearer KEY'.")
