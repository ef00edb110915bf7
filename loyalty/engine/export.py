"""Everything that is recorded of one member, for the member to take along."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from loyalty.db.sql import query
from loyalty.engine import reads, vouchers
from loyalty.engine.access import Access
from loyalty.engine.answers import Balance, EntryAnswer, RedemptionRecord
from loyalty.engine.facts import engagement_facts, purchase_facts, return_facts, unlinked_return_facts
from loyalty.engine.tier_answers import TierStanding
from loyalty.members import directory
from loyalty.members.answers import MemberAnswer
from loyalty.members.consents import Consents, read_consents
from loyalty.rewards.answers import VoucherRecord
from loyalty.types import Engagement, Purchase, Return, UnlinkedReturn

PAGE = 200


class ExportedPurchase(Struct, frozen=True):
    """A purchase as it was recorded, and the points that it earned."""

    purchase: Purchase
    points_earned: int
    recorded_at: datetime


class ExportedEvent(Struct, frozen=True):
    """Something else that the member did, and the points that it earned."""

    event: Engagement
    points_earned: int
    recorded_at: datetime


class ExportedReturn(Struct, frozen=True):
    """A return as it was recorded: of a purchase, or else without a known one."""

    linked: Return | None
    unlinked: UnlinkedReturn | None
    recorded_at: datetime


class MergedAway(Struct, frozen=True):
    """The entries of a member that was merged into this one, up to then."""

    member_id: str
    entries: list[EntryAnswer]


class Export(Struct, frozen=True):
    """All that is recorded of a member. In purchases, returns and events `-` stands for the member."""

    member: MemberAnswer
    consents: Consents
    balance: Balance
    tier: TierStanding
    entries: list[EntryAnswer]
    merged: list[MergedAway]
    purchases: list[ExportedPurchase]
    returns: list[ExportedReturn]
    events: list[ExportedEvent]
    redemptions: list[RedemptionRecord]
    vouchers: list[VoucherRecord]


async def export(engine: Access, member: str) -> Export:
    """Gathers a member's data, and of those merged into it. Raises UnknownMember."""
    async with engine.pool.acquire() as connection:
        shard, account = await reads.where_is(engine, connection, member)
        own, *merged = await connection.fetch(query("export_members"), shard, account)
        postings = await connection.fetch(query("export_postings"), shard, account)
    member_id = own["member_id"]
    listed = await directory.read(engine.pool, engine.vault, member_id)
    tier = await reads.tier(engine, member_id)
    purchases, returns, events = [], [], []
    for row in postings:
        match row["kind"]:
            case "purchase":
                facts = purchase_facts(row["facts"])
                purchases.append(ExportedPurchase(facts.purchase, facts.points, row["recorded_at"]))
            case "event":
                done = engagement_facts(row["facts"])
                events.append(ExportedEvent(done.event, done.points, row["recorded_at"]))
            case "return":
                returns.append(_returned(row))
    taken = [row["id"] for row in postings if row["kind"] == "redemption"]
    return Export(
        member=listed.answer(tier.tier),
        consents=await read_consents(engine.pool, engine.vault, member_id),
        balance=await reads.balance(engine, member_id),
        tier=tier,
        entries=await _all_entries(engine, member_id),
        merged=[MergedAway(row["member_id"], await _all_entries(engine, row["member_id"])) for row in merged],
        purchases=purchases,
        returns=returns,
        events=events,
        redemptions=[await reads.redemption(engine, id) for id in taken],
        vouchers=(await vouchers.vouchers(engine, member_id)).vouchers,
    )


def _returned(row: Any) -> ExportedReturn:
    if row["subject"] is None:
        return ExportedReturn(None, unlinked_return_facts(row["facts"]).request, row["recorded_at"])
    return ExportedReturn(return_facts(row["facts"]).request, None, row["recorded_at"])


async def _all_entries(engine: Access, member_id: str) -> list[EntryAnswer]:
    entries: list[EntryAnswer] = []
    cursor = None
    while True:
        page = await reads.entries(engine, member_id, cursor, PAGE)
        entries += page.entries
        cursor = page.next_cursor
        if cursor is None:
            return entries
