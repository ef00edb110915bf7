"""API keys."""

import msgspec
from msgspec import Struct

from loyalty import keys
from loyalty.api.auth import ADMIN
from loyalty.api.contract import call
from loyalty.api.reading import Call, context, in_path, read_json
from loyalty.api.reply import Reply, reply
from loyalty.errors import FieldError, InvalidRequest, NotFound
from loyalty.keys import Key, Role
from loyalty.members.text import check_text
from loyalty.types import Instant, Text


class NewKey(Struct, frozen=True, forbid_unknown_fields=True):
    """What a key is made for. With `store` it records and quotes purchases of that store alone (pos and eshop)."""

    role: Role
    name: Text
    store: Text | None = None
    expires_at: Instant | None = None


class MadeKey(Key, frozen=True, kw_only=True):
    """A new key; `key` is the secret and is shown this once."""

    key: str


class KeyList(Struct, frozen=True):
    keys: list[Key]


_new_key = msgspec.json.Decoder(NewKey)


@call(
    "POST",
    "/v1/keys",
    roles=ADMIN,
    tag="Keys",
    body=NewKey,
    example=NewKey("pos", "till 3", store="17"),
    answers={201: MadeKey},
)
async def create_key(request: Call) -> Reply:
    """Make a key. Its secret is shown this once; only its hash is kept."""
    wanted = await read_json(request, _new_key)
    errors: list[FieldError] = []
    check_text("name", wanted.name, errors)
    check_text("store", wanted.store, errors)
    errors += keys.key_errors(wanted.role, wanted.store, wanted.expires_at)
    if errors:
        raise InvalidRequest(f"{errors[0].path}: {errors[0].message}", errors=errors)
    held = context(request)
    key, secret = await keys.create_key(
        held.engine.pool, wanted.role, wanted.name, wanted.store, wanted.expires_at
    )
    await held.keys.refresh()
    return reply(MadeKey(**msgspec.structs.asdict(key), key=secret), 201)


@call("GET", "/v1/keys", roles=ADMIN, tag="Keys", answers={200: KeyList})
async def list_keys(request: Call) -> Reply:
    """List the keys, without their secrets; revoked ones too."""
    return reply(KeyList(await keys.list_keys(context(request).engine.pool)))


@call("DELETE", "/v1/keys/{key_id:str}", roles=ADMIN, tag="Keys", answers={204: None}, problems=(NotFound,))
async def revoke_key(request: Call) -> Reply:
    """Revoke a key, at once and on all servers. Revoking it again changes nothing."""
    held = context(request)
    if not await keys.revoke_key(held.engine.pool, in_path(request, "key_id")):
        raise NotFound("There is no key of this id.")
    await held.keys.refresh()
    return Reply(b"", 204)


HANDLERS = (create_key, list_keys, revoke_key)
