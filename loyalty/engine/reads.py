"""Reads: what is due counts as posted, and nothing is written."""

from collections import defaultdict
from datetime import datetime, timedelta

import msgspec
from asyncpg import Connection, Record

from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.answers import (
    Balance,
    EntryAnswer,
    EntryPage,
    Expiring,
    LotAnswer,
    OpenHold,
    PurchasePage,
    PurchaseRecord,
    PurchaseSummary,
    Receipt,
    RecordedLine,
    RedemptionRecord,
    RedemptionStatus,
    ReturnReceipt,
)
from loyalty.engine.context import Context
from loyalty.engine.due import post_due
from loyalty.engine.facts import (
    end_facts,
    purchase_facts,
    redemption_facts,
    return_facts,
    reversal_facts,
)
from loyalty.engine.loading import load_tiers, make_context, verdict_due
from loyalty.engine.outlook import projected
from loyalty.engine.past import book_at, instants
from loyalty.engine.programs import BEGINNING, load_programs
from loyalty.engine.standing import standing_of_head
from loyalty.engine.tier_answers import NextTier, QualifyingAnswer, TierPeriod, TierStanding
from loyalty.errors import FieldError, InvalidRequest, UnknownMember, UnknownPurchase, UnknownRedemption
from loyalty.ledger import store
from loyalty.ledger.book import Book
from loyalty.ledger.chain import EPOCH, microseconds
from loyalty.ledger.state import NEVER
from loyalty.members.directory import where_are
from loyalty.members.identity import parse_reference
from loyalty.rules.redeem import amount_for_points
from loyalty.tiers.history import timeline
from loyalty.tiers.model import Change
from loyalty.tiers.window import progress

SOON = timedelta(days=90)
"""How far ahead `expiring` looks."""
LAST = 2**31 - 1


async def where_is(engine: Access, connection: Connection, member: str) -> store.Where:
    """The account that a member's name means. Raises UnknownMember."""
    name = parse_reference(member)
    found = await where_are(connection, engine.vault, [name])
    if name not in found:
        raise UnknownMember(f"No member is called {member}.")
    return found[name]


async def book_now(
    engine: Access, connection: Connection, where: store.Where, tiers: bool
) -> tuple[Context, Book]:
    """An account with everything due posted in memory; with `tiers`, what counts for its tier too."""
    shard, account = where
    locked = await store.read_accounts(connection, shard, [account])
    if locked.program_version != engine.programs_known.newest:
        engine.programs_known = await load_programs(connection, engine.programs_known)
    context = make_context(engine.programs_known, locked)
    book = context.books[account]
    if tiers or verdict_due(book.head, book.recorded_at):
        await load_tiers(context, connection, shard, [account])
    post_due(context, book, book.recorded_at)
    return context, book


async def balance(
    engine: Access, member: str, as_of: datetime | None = None, known_at: datetime | None = None
) -> Balance:
    """What an account holds now, or held at `as_of`, as known at `known_at`."""
    async with engine.pool.acquire() as connection:
        where = await where_is(engine, connection, member)
        if as_of is None and known_at is None:
            context, book = await book_now(engine, connection, where, tiers=False)
        else:
            now = await store.ledger_now(connection)
            context, book = await book_at(engine, connection, where, *instants(as_of, known_at, now))
    return balance_of(context, book)


def balance_of(context: Context, book: Book) -> Balance:
    """The balance of a book as it stands."""
    now = book.recorded_at
    version = context.programs.at(now)
    lots: dict[tuple[datetime, datetime, int], int] = defaultdict(int)
    expiring: dict[datetime, int] = defaultdict(int)
    for lot in book.lots.values():
        ends_at = book.end_of(lot)
        lots[ends_at or NEVER, lot.spendable_from, lot.origin] += lot.remaining
        if ends_at is not None and ends_at <= now + SOON:
            expiring[ends_at] += lot.remaining
    available = book.available
    return Balance(
        member_id=book.head.member_id,
        as_of=now,
        balance=book.head.balance,
        available=available,
        held=book.head.held,
        pending=book.pending,
        debt=book.head.debt,
        amount=amount_for_points(version.program.redemption, max(available, 0)),
        lots=[
            LotAnswer(points, spendable_from, None if ends_at == NEVER else ends_at)
            for (ends_at, spendable_from, _), points in sorted(lots.items())
        ],
        expiring=[Expiring(points, at) for at, points in sorted(expiring.items())],
        holds=[
            OpenHold(hold.redemption_id, hold.points, hold.until)
            for hold in sorted(book.holds.values(), key=lambda hold: (hold.until, hold.redemption_id))
        ],
        tier=standing_of_head(version, book.head).tier,
    )


async def tier(engine: Access, member: str) -> TierStanding:
    """Where a member stands, how far the next tier is, and how it came to this."""
    async with engine.pool.acquire() as connection:
        where = await where_is(engine, connection, member)
        context, book = await book_now(engine, connection, where, tiers=True)
        enrolled_at = await connection.fetchval(
            "select enrolled_at from member where account = $1", book.account
        )
    now = book.recorded_at
    version = context.programs.at(now)
    program = version.program
    standing = standing_of_head(version, book.head)
    found = progress(program, version.calendar, standing, context.rows[book.account], now)
    begun = Change(
        at=enrolled_at, tier=program.tiers[0].id, previous=None, reason="enrolment", since=enrolled_at
    )
    held = timeline(program, [begun, *context.history[book.account]])
    needed = found.next
    return TierStanding(
        tier=standing.tier,
        since=enrolled_at if standing.since == BEGINNING else standing.since,
        valid_until=standing.valid_until,
        qualifying=QualifyingAnswer(found.spend_amount, found.visits, found.from_),
        next=NextTier(needed.tier, needed.spend_amount, needed.visits, needed.need) if needed else None,
        projected=projected(context.programs, standing, context.rows[book.account]),
        benefits=next(known.benefits for known in program.tiers if known.id == standing.tier),
        history=[TierPeriod(period.tier, period.from_, period.until, period.reason) for period in held],
    )


def _instant_before(cursor: str | None) -> tuple[datetime, int]:
    if cursor is None:
        return NEVER, 0
    at, dash, number = cursor.partition("-")
    if not (dash and at.isascii() and at.isdigit() and len(at) <= 17):
        _before("")
    return EPOCH + timedelta(microseconds=int(at)), _before(number)


def _before(cursor: str | None) -> int:
    if cursor is None:
        return LAST
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 10 and 0 < int(cursor) <= LAST):
        raise InvalidRequest(
            "The cursor is not one of ours: pass `next_cursor` as it came, or none.",
            errors=[FieldError("cursor", f"{cursor[:40]!r} is not a cursor")],
        )
    return int(cursor)


async def entries(engine: Access, member: str, cursor: str | None, limit: int) -> EntryPage:
    """A page of entries, newest first. What is due but not posted is not among them."""
    before = _before(cursor)
    async with engine.pool.acquire() as connection:
        name = parse_reference(member)
        # A member_id shows its own record, also when that member was merged since.
        own = await connection.fetchrow(query("own_account"), name.value) if name.scheme == "id" else None
        shard, account = (own["shard"], own["account"]) if own else await where_is(engine, connection, member)
        rows = await connection.fetch(query("entries"), shard, account, before, limit + 1)
    page = [_entry(row) for row in rows[:limit]]
    return EntryPage(
        page, str(page[-1].seq) if len(rows) > limit else None, own["merged_into"] if own else None
    )


_NAMED_BY = {
    "purchase": ("purchase_id", None),
    "return": ("return_id", "purchase_id"),
    "redemption": ("redemption_id", "purchase_id"),
    "capture": (None, "redemption_id"),
    "release": (None, "redemption_id"),
    "timeout": (None, "redemption_id"),
    "reversal": ("reversal_id", "redemption_id"),
    "adjustment": ("adjustment_id", None),
    "event": ("event_id", None),
    "claim": ("claim_id", None),
    "cancellation": (None, "claim_id"),
}
"""By the posting's kind: the fields that its id and its subject go into."""


def _entry(row: Record) -> EntryAnswer:
    by_id, by_subject = _NAMED_BY.get(row["posting_kind"], (None, None))
    named: dict[str, str] = {}
    if by_id and row["id"] is not None:
        named[by_id] = row["id"]
    if by_subject and row["subject"] is not None:
        named[by_subject] = row["subject"]
    if row["posting_kind"] == "adjustment":
        named["reason"] = msgspec.json.decode(row["facts"])["reason"]
    return EntryAnswer(
        row["seq"],
        row["kind"],
        row["points"],
        row["balance_after"],
        row["occurred_at"],
        row["recorded_at"],
        **named,
    )


async def purchases(engine: Access, member: str, cursor: str | None, limit: int) -> PurchasePage:
    """A page of purchases, the last recorded first."""
    recorded_before, number = _instant_before(cursor)
    async with engine.pool.acquire() as connection:
        shard, account = await where_is(engine, connection, member)
        rows = await connection.fetch(query("purchases"), shard, account, recorded_before, number, limit + 1)
    page = []
    for row in rows[:limit]:
        facts = purchase_facts(row["facts"])
        page.append(
            PurchaseSummary(
                facts.purchase.purchase_id,
                row["occurred_at"],
                row["recorded_at"],
                facts.purchase.channel,
                facts.purchase.store,
                facts.total_amount,
                facts.points,
                facts.redeemed_points,
            )
        )
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return PurchasePage(page, f"{microseconds(last['recorded_at'])}-{last['number']}" if last else None)


async def purchase(engine: Access, purchase_id: str) -> PurchaseRecord:
    """What was recorded of a purchase, with the explanation of every point."""
    async with engine.pool.acquire() as connection:
        row = await connection.fetchrow(query("posting_by_id"), "purchase", purchase_id)
        if row is None:
            raise UnknownPurchase(f"No purchase {purchase_id} is recorded.")
        about = await connection.fetch(query("about"), row["shard"], row["account"], purchase_id)
    facts = purchase_facts(row["facts"])
    receipt = msgspec.json.decode(row["answer"], type=Receipt)
    returns = [found for found in about if found["kind"] == "return"]
    bought = facts.purchase
    return PurchaseRecord(
        purchase_id=purchase_id,
        member_id=row["member_id"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        channel=bought.channel,
        store=bought.store,
        terminal=bought.terminal,
        lines=[
            RecordedLine(
                line.line or place,
                line.sku,
                line.quantity,
                line.amount,
                line.list_amount,
                line.category,
                line.tags,
            )
            for place, line in enumerate(bought.lines, 1)
        ],
        redemption=bought.redemption,
        total_amount=facts.total_amount,
        program_version=row["program_version"],
        judged_tier=facts.judged.tier,
        points_earned=facts.points,
        points_kept=return_facts(returns[-1]["facts"]).kept_points if returns else facts.points,
        explain=receipt.explain,
        rounding=receipt.rounding,
        receipt=receipt,
        returns=[msgspec.json.decode(found["answer"], type=ReturnReceipt) for found in returns],
    )


async def redemption(engine: Access, redemption_id: str) -> RedemptionRecord:
    """A redemption as it stands now; a hold past its time counts as timed out."""
    async with engine.pool.acquire() as connection:
        row = await connection.fetchrow(query("posting_by_id"), "redemption", redemption_id)
        if row is None:
            raise UnknownRedemption(f"No redemption {redemption_id} is recorded.")
        about = await connection.fetch(query("about"), row["shard"], row["account"], redemption_id)
        now = await store.ledger_now(connection)
    taken = redemption_facts(row["facts"])
    points, amount, purchase_id = taken.points, taken.amount, None
    status: RedemptionStatus = "captured"
    end = next((found for found in about if found["kind"] in ("capture", "release", "timeout")), None)
    if end is not None and end["kind"] == "capture":
        ended = end_facts(end["facts"])
        points, amount, purchase_id = ended.points, ended.amount, ended.purchase_id
    elif end is not None:
        status = "released" if end["kind"] == "release" else "timed_out"
    elif taken.until is not None:
        status = "held" if now < taken.until else "timed_out"
    reversed_points = sum(
        reversal_facts(found["facts"]).points for found in about if found["kind"] == "reversal"
    )
    if status == "captured" and reversed_points == points:
        status = "reversed"
    return RedemptionRecord(
        redemption_id=redemption_id,
        member_id=row["member_id"],
        status=status,
        points=points,
        amount=amount,
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        until=taken.until,
        purchase_id=purchase_id or row["subject"],
        points_reversed=reversed_points,
    )
