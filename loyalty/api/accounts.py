"""A member's points: balance, entries, purchases, tier, and adjustments."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from loyalty.api import examples
from loyalty.api.auth import ALL, OPS
from loyalty.api.contract import call
from loyalty.api.posting import submit
from loyalty.api.reading import PAGE_BEFORE, Call, PageLimit, context, in_path, read_json, read_query
from loyalty.api.reply import Reply, created, reply
from loyalty.engine.answers import AdjustmentAnswer, Balance, EntryPage, PurchasePage
from loyalty.engine.tier_answers import TierStanding
from loyalty.engine.validate import check_instant, validate
from loyalty.errors import FutureTime, IdConflict, InsufficientPoints, UnknownMember
from loyalty.types import MAX_AMOUNT, Adjustment, Instant, LongText, RequestId


class AsOf(Struct, frozen=True, forbid_unknown_fields=True):
    """An instant of the past (`as_of`, default now), as it was known at `known_at` (default: as known now)."""

    as_of: Annotated[Instant, Meta(description="The instant to look at; default now.")] | None = None
    known_at: (
        Annotated[Instant, Meta(description="As it was known at this instant; default as known now.")] | None
    ) = None


class EntriesPage(Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries: from where on, and how many."""

    cursor: Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,8}\Z", description=PAGE_BEFORE)] | None = None
    limit: PageLimit = 50


class PurchasesPage(Struct, frozen=True, forbid_unknown_fields=True):
    """Which purchases: from where on, and how many."""

    cursor: (
        Annotated[str, Meta(pattern=r"\A[0-9]{1,16}-[1-9][0-9]{0,8}\Z", description=PAGE_BEFORE)] | None
    ) = None
    limit: PageLimit = 50


class AdjustmentBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`points` is signed and not 0. Without `expires_at` added points live as the program says."""

    adjustment_id: RequestId
    points: Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
    reason: LongText
    expires_at: Instant | None = None


_adjustment = msgspec.json.Decoder(AdjustmentBody)


@call(
    "GET",
    "/v1/members/{member:str}/balance",
    roles=ALL,
    tag="Points",
    query=AsOf,
    answers={200: Balance},
    problems=(UnknownMember, FutureTime),
)
async def read_balance(request: Call) -> Reply:
    """Read the balance with its lots, holds and what expires next, now or at a past instant."""
    at = read_as_of(request)
    return reply(await context(request).engine.balance(in_path(request, "member"), at.as_of, at.known_at))


@call(
    "GET",
    "/v1/members/{member:str}/entries",
    roles=ALL,
    tag="Points",
    query=EntriesPage,
    answers={200: EntryPage},
    problems=(UnknownMember,),
)
async def list_entries(request: Call) -> Reply:
    """List the entries, newest first."""
    page = read_query(request, EntriesPage)
    return reply(await context(request).engine.entries(in_path(request, "member"), page.cursor, page.limit))


@call(
    "GET",
    "/v1/members/{member:str}/purchases",
    roles=ALL,
    tag="Points",
    query=PurchasesPage,
    answers={200: PurchasePage},
    problems=(UnknownMember,),
)
async def list_purchases(request: Call) -> Reply:
    """List the member's purchases, newest first."""
    page = read_query(request, PurchasesPage)
    return reply(await context(request).engine.purchases(in_path(request, "member"), page.cursor, page.limit))


@call(
    "GET",
    "/v1/members/{member:str}/tier",
    roles=ALL,
    tag="Points",
    answers={200: TierStanding},
    problems=(UnknownMember,),
)
async def read_tier(request: Call) -> Reply:
    """Read the tier: since when, until when, what counts towards the next, and its history."""
    return reply(await context(request).engine.tier(in_path(request, "member")))


@call(
    "POST",
    "/v1/members/{member:str}/adjustments",
    roles=OPS,
    tag="Points",
    body=AdjustmentBody,
    example={
        "adjustment_id": examples.ADJUSTMENT.adjustment_id,
        "points": examples.ADJUSTMENT.points,
        "reason": examples.ADJUSTMENT.reason,
    },
    answers={201: AdjustmentAnswer, 200: AdjustmentAnswer},
    problems=(UnknownMember, IdConflict, InsufficientPoints),
    replays=True,
)
async def adjust(request: Call) -> Reply:
    """Add points, or take them (never more than are available), with a reason."""
    member = in_path(request, "member")
    body = await read_json(request, _adjustment)
    asked = Adjustment(body.adjustment_id, member, body.points, body.reason, body.expires_at)
    validate(asked)
    return created(await submit(request, asked))


def read_as_of(request: Call) -> AsOf:
    """The instants of the query, within the years that the ledger can hold."""
    at = read_query(request, AsOf)
    for name, instant in (("as_of", at.as_of), ("known_at", at.known_at)):
        if instant is not None:
            check_instant(name, instant)
    return at


HANDLERS = (read_balance, list_entries, list_purchases, read_tier, adjust)
