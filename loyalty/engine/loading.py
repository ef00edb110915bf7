"""Locks accounts and reads everything that the decisions of a batch need: one round trip for purchases, a few more
for what refers to earlier postings or may change a tier."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

import asyncpg
import msgspec

from loyalty.calendar import shift_days
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.context import Context
from loyalty.engine.facts import purchase_facts
from loyalty.engine.programs import Programs, load_programs
from loyalty.engine.redeem import paid_purchase
from loyalty.engine.standing import needs_tiers
from loyalty.ledger import store
from loyalty.ledger.book import Book
from loyalty.ledger.rows import EVER, TierRow
from loyalty.ledger.state import Head
from loyalty.ledger.store import Locked, Recorded, RequestKey
from loyalty.rewards import store as rewards
from loyalty.tiers.model import Change, Qualifying
from loyalty.types import (
    Cancellation,
    Capture,
    Claim,
    Engagement,
    OpeningTier,
    Purchase,
    Release,
    Request,
    Return,
    Reversal,
    UnlinkedReturn,
)


async def load_context(
    engine: Access,
    connection: asyncpg.Connection,
    shard: int,
    accounts: dict[int, bool],
    keys: Sequence[RequestKey],
    requests: Sequence[Request],
    owners: Sequence[int],
    patient: bool = True,
) -> tuple[Context, dict[RequestKey, Recorded]]:
    """Locks accounts and makes the context; `owners` are the accounts of `requests`, one by one.

    patient: wait for accounts that somebody else has locked. Else they are left out.
    """
    days = _days(requests) if engine.programs_known.limited() else None
    locked = await store.lock_accounts(connection, shard, accounts, keys, days=days, wait=patient)
    if len(locked.heads) < len(accounts):
        accounts = {account: whole for account, whole in accounts.items() if account in locked.heads}
        ours = [pair for pair in zip(requests, owners, strict=True) if pair[1] in accounts]
        requests, owners = [request for request, _ in ours], [owner for _, owner in ours]
    if locked.program_version != engine.programs_known.newest:
        engine.programs_known = await load_programs(connection, engine.programs_known)
        if engine.programs_known.limited() and days is None:
            days = _days(requests)
            locked = await store.lock_accounts(connection, shard, accounts, keys, days=days)
    ending = _ending_idle_points(engine.programs_known, locked, requests, owners)
    if ending:
        accounts = accounts | dict.fromkeys(ending, True)
        locked = await store.lock_accounts(connection, shard, accounts, keys, days=days)
    context = make_context(engine.programs_known, locked)
    await load_subjects(context, connection, shard, requests, owners)
    await _load_rewards(context, connection, requests)
    tiers = may_change_tier(context, requests, owners)
    if tiers:
        await load_tiers(context, connection, shard, tiers)
    if any(version.needs.birthday for version in engine.programs_known.all):
        for row in await connection.fetch(query("birthdays"), list(accounts)):
            account, opened = row["account"], engine.vault.open_date
            if row["birthday"] is not None:
                context.birthdays[account] = opened(row["birthday"])
                context.sealed_birthdays[account] = row["birthday"]
            if row["years"] is not None:
                context.pinned[account] = dict(zip(row["years"], map(opened, row["pinned"]), strict=True))
    return context, locked.found


def _days(requests: Iterable[Request]) -> set[date]:
    """The days, of whatever time zone, whose use of limited rules may be asked for, and all time."""
    found = {EVER}
    for at in {one.occurred_at.date() for one in requests if isinstance(one, Purchase | Engagement)}:
        found |= {shift_days(at, -1), at, shift_days(at, 1)}
    return found


def _ending_idle_points(
    programs: Programs, locked: Locked, requests: Sequence[Request], owners: Sequence[int]
) -> list[int]:
    """Accounts whose idle points may die by what is recorded now: an activity of the past, under a shorter period."""
    if programs.one_idle_end():
        return []
    return [
        account
        for request, account in zip(requests, owners, strict=True)
        if isinstance(request, Purchase | Engagement)
        and not locked.heads[account].loaded
        and programs.idle_deadline(request.occurred_at) <= max(locked.now, locked.heads[account].recorded_at)
    ]


def make_context(programs: Programs, locked: Locked) -> Context:
    """The books of locked accounts, and what they used of limited rules."""
    context = Context(locked.now, programs)
    for account, head in locked.heads.items():
        context.books[account] = Book(
            head,
            locked.lots.get(account, ()),
            locked.holds.get(account, ()),
            locked.now,
            programs.idle_deadline,
            context.journal,
        )
        for row in locked.counters.get(account, ()):
            context.counted[row.account, row.rule, row.day] = (row.times, row.points)
    context.budgets |= locked.budgets
    return context


async def load_tiers(
    context: Context, connection: asyncpg.Connection, shard: int, accounts: Sequence[int]
) -> None:
    """Reads what counts for the tiers of accounts, and their histories."""
    for account, rows in (await store.qualifying(connection, shard, accounts)).items():
        context.rows[account] = [Qualifying(at, amount) for at, amount in rows]
    for account, changes in (await store.tier_changes(connection, shard, accounts)).items():
        context.history[account] = [change_of(row) for row in changes]


def change_of(row: TierRow) -> Change:
    """A recorded change as the tier engine reads it."""
    return Change(
        at=row.at,
        tier=row.tier,
        previous=row.previous,
        reason=row.reason,  # type: ignore[arg-type]  # the database holds what the tier engine wrote
        since=row.since,
        valid_until=row.valid_until,
        verdict_at=row.verdict_at,
        ground_at=row.ground_at,
    )


def verdict_due(head: Head, at: datetime) -> bool:
    return head.tier_verdict_at is not None and head.tier_verdict_at <= at


def may_change_tier(context: Context, requests: Iterable[Request], owners: Iterable[int]) -> list[int]:
    """Accounts whose tier rows must be read: a verdict is due, a threshold may be reached, something arrived late, or
    goods come back."""
    wanted = {book.account for book in context.books.values() if verdict_due(book.head, book.recorded_at)}
    amounts: dict[int, tuple[int, int]] = {}
    one_window = context.programs.one_window()
    for request, account in zip(requests, owners, strict=True):
        if account in wanted:
            continue
        head = context.books[account].head
        match request:
            case Purchase():
                at = request.occurred_at
                version = context.programs.at(at)
                amount, visits = amounts.get(account, (0, 0))
                amount, visits = amount + sum(line.amount for line in request.lines), visits + 1
                amounts[account] = amount, visits
                if not one_window or needs_tiers(version, head, at, amount, visits):
                    wanted.add(account)
            case Return() | UnlinkedReturn() | OpeningTier():
                wanted.add(account)
            case Engagement() if head.tier_since is not None and request.occurred_at < head.tier_since:
                wanted.add(account)  # judged by a tier of the past
    return sorted(wanted)


async def _load_rewards(
    context: Context, connection: asyncpg.Connection, requests: Sequence[Request]
) -> None:
    """Reads the rewards that are claimed, and the vouchers of claims that are cancelled."""
    claimed = {request.reward_id for request in requests if isinstance(request, Claim)}
    if claimed:
        context.offers = await rewards.offers(connection, sorted(claimed))
    cancelled = {request.claim_id for request in requests if isinstance(request, Cancellation)}
    if cancelled:
        context.vouchers = await rewards.by_claims(connection, sorted(cancelled))


async def load_subjects(
    context: Context,
    connection: asyncpg.Connection,
    shard: int,
    requests: Sequence[Request],
    owners: Sequence[int],
) -> None:
    """Reads the postings that requests refer to: purchases with their returns, redemptions with their endings."""
    pairs = list(zip(requests, owners, strict=True))
    wanted = {(account, id) for request, account in pairs if (id := _subject(request)) is not None}
    if not wanted:
        return
    context.subjects = await store.subjects(connection, shard, list(wanted))
    further = _further(context) - wanted
    if further:
        context.subjects |= await store.subjects(connection, shard, list(further))
    redeemed = {  # once each: it is found by its own id, and by that of the purchase that it paid for
        (posting.account, posting.number)
        for postings in context.subjects.values()
        for posting in postings
        if posting.kind in ("redemption", "claim")
    }
    if redeemed:
        for (account, number), uses in (await store.uses_of(connection, sorted(redeemed))).items():
            if account not in context.books:
                # Lots of an account that was merged into this one: given back, they begin an origin here.
                uses = [msgspec.structs.replace(use, origin=0) for use in uses]
            context.uses[account, number] = uses


def _subject(request: Request) -> str | None:
    match request:
        case Return():
            return request.purchase_id
        case Capture() | Release() | Reversal():
            return request.redemption_id
        case Cancellation():
            return request.claim_id
        case Purchase() if request.redemption is not None:
            return request.redemption.redemption_id
    return None


def _further(context: Context) -> set[tuple[int, str]]:
    """What the subjects lead to: a purchase to the redemption that paid for it, a redemption to its purchase."""
    further = set()
    for (account, _), postings in context.subjects.items():
        for posting in postings:
            if posting.kind == "purchase":
                redemption = purchase_facts(posting.facts).purchase.redemption
                if redemption is not None:
                    further.add((account, redemption.redemption_id))
        purchase_id = paid_purchase(postings)
        if purchase_id is not None:
            further.add((account, purchase_id))
    return further
