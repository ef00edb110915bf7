"""What belongs to a member: tokens for the member's own page, consents, and all data to take along."""

import time
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from loyalty.api.auth import STAFF, caller
from loyalty.api.contract import call
from loyalty.api.reading import Call, context, in_path, read_json, read_optional_json
from loyalty.api.reply import Reply, reply
from loyalty.engine.export import Export
from loyalty.engine.validate import check_instant
from loyalty.errors import FutureTime, UnknownMember
from loyalty.members.answers import TokenAnswer
from loyalty.members.consents import ConsentBody, Consents, put_consent, read_consents
from loyalty.members.token import Token, write_token

ESHOP = ("eshop",)
OWN = ("ops", "member")


class TokenBody(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the token is to live."""

    seconds: Annotated[int, Meta(ge=60, le=3600)] = 900


_token = msgspec.json.Decoder(TokenBody)
_consent = msgspec.json.Decoder(ConsentBody)


@call(
    "POST",
    "/v1/members/{member:str}/tokens",
    roles=ESHOP,
    tag="Members",
    body=TokenBody,
    body_required=False,
    example={"seconds": 900},
    answers={201: TokenAnswer},
    problems=(UnknownMember,),
)
async def make_token(request: Call) -> Reply:
    """Make a token for a member's own page.

    It has the role `member`, reads that member's own data alone, and ends by itself or with the key that made it.
    """
    body = await read_optional_json(request, _token)
    member_id, key = await context(request).engine.token_for(in_path(request, "member"))
    ends_at = int(time.time()) + body.seconds
    token = write_token(key, Token(member_id, caller(request).key_id, ends_at))
    return reply(TokenAnswer(token, member_id, datetime.fromtimestamp(ends_at, UTC)), 201)


@call(
    "PUT",
    "/v1/members/{member:str}/consents",
    roles=STAFF,
    tag="Members",
    body=ConsentBody,
    example=ConsentBody("newsletter", granted=True, source="web/checkout"),
    answers={200: Consents},
    problems=(UnknownMember, FutureTime),
)
async def record_consent(request: Call) -> Reply:
    """Write down that a member agrees to a purpose, or takes it back. The history stays; said again nothing changes."""
    said = await read_json(request, _consent)
    if said.at is not None:
        check_instant("at", said.at)
    engine, member = context(request).engine, in_path(request, "member")
    await put_consent(engine.pool, engine.vault, member, said, await engine.now())
    return reply(await read_consents(engine.pool, engine.vault, member))


@call(
    "GET",
    "/v1/members/{member:str}/consents",
    roles=(*STAFF, "member"),
    tag="Members",
    answers={200: Consents},
    problems=(UnknownMember,),
)
async def list_consents(request: Call) -> Reply:
    """Read what a member agrees to now, and all that was said before."""
    engine = context(request).engine
    return reply(await read_consents(engine.pool, engine.vault, in_path(request, "member")))


@call(
    "GET",
    "/v1/members/{member:str}/export",
    roles=OWN,
    tag="Members",
    answers={200: Export},
    problems=(UnknownMember,),
)
async def export_member(request: Call) -> Reply:
    """Read everything that is recorded of a member, as one document."""
    return reply(await context(request).engine.export(in_path(request, "member")))


HANDLERS = (make_token, record_consent, list_consents, export_member)
