"""The past, from immutable rows alone: an account as it was at an instant, as known then or as known now.

Rows that occurred up to `as_of` and were known at `known_at` make a book; what was due by then is posted in memory.
What was due counts as known from its own instant, so the state never depends on when a batch ran (DESIGN, promises
11 and 12).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from asyncpg import Connection, Record

from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.context import Context
from loyalty.engine.due import post_due
from loyalty.engine.facts import merge_facts, redemption_facts
from loyalty.engine.loading import change_of
from loyalty.engine.programs import BEGINNING, ProgramVersion, load_programs
from loyalty.errors import FieldError, FutureTime
from loyalty.ledger import store
from loyalty.ledger.book import Book
from loyalty.ledger.chain import GENESIS
from loyalty.ledger.state import Head, Hold, OpenLot
from loyalty.tiers.history import standing_of
from loyalty.tiers.model import Change, Qualifying

ENDINGS = ("capture", "release", "timeout")


def instants(as_of: datetime | None, known_at: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Both instants, filled in: the past as known now, or the present as it was known. Refuses the future."""
    for name, at in (("as_of", as_of), ("known_at", known_at)):
        if at is not None and at > now:
            raise FutureTime(
                f"{name} lies in the future; the ledger knows the past.",
                errors=[FieldError(name, f"{at.isoformat()} is after {now.isoformat()}")],
            )
    return as_of or known_at or now, known_at or now


async def book_at(
    engine: Access, connection: Connection, where: store.Where, as_of: datetime, known_at: datetime
) -> tuple[Context, Book]:
    """An account's book at `as_of` as known at `known_at`. Nothing can be posted from it."""
    shard, account = where
    member_id = await connection.fetchval("select member_id from member where account = $1", account)
    context, _ = await books_at(engine, connection, shard, {account: member_id or ""}, as_of, known_at)
    return context, context.books[account]


async def books_at(
    engine: Access,
    connection: Connection,
    shard: int,
    member_ids: Mapping[int, str],
    as_of: datetime,
    known_at: datetime,
) -> tuple[Context, list[Record]]:
    """The books of accounts (with their members' ids) at `as_of` as known at `known_at`, and their sums by program
    account, without what is due and posted in memory here alone: that is in the context's journal."""
    engine.programs_known = await load_programs(connection, engine.programs_known)
    context = Context(as_of, engine.programs_known)
    accounts = list(member_ids)
    rows = await connection.fetch(query("past_postings"), shard, accounts, as_of, known_at)
    owners, numbers = [row["account"] for row in rows], [row["number"] for row in rows]
    lots: dict[int, list[Record]] = defaultdict(list)
    for lot in await connection.fetch(query("past_lots"), shard, owners, numbers, as_of):
        lots[lot["account"]].append(lot)
    sums = await connection.fetch(query("past_sums"), shard, owners, numbers, as_of)
    by_account = {row["account"]: row for row in sums}
    known = set(zip(owners, numbers, strict=True))
    holds, held_at, last = _open_holds(rows)
    uses = await store.uses_of(
        connection, [(account, hold[0]) for account in holds for hold in holds[account].values()]
    )
    changes = await store.tier_changes(connection, shard, accounts)
    for row in await connection.fetch(query("past_qualifying"), shard, accounts, as_of, known_at):
        context.rows.setdefault(row["account"], []).append(
            Qualifying(row["qualifying_at"], row["qualifying_amount"])
        )
    version = context.programs.at(as_of)
    for account, member_id in member_ids.items():
        context.rows.setdefault(account, [])
        context.history[account] = [
            change_of(row) for row in changes[account] if row.at <= as_of and (account, row.posting) in known
        ]
        head = _head(account, member_id, version, context.history[account])
        held = [
            Hold(id, number, points, until, uses[account, number])
            for id, (number, points, until) in holds[account].items()
        ]
        found = by_account.get(account)
        head.number = last.get(account, 0)
        head.lots = max((lot["lot"] for lot in lots[account]), default=0)
        head.balance = found["balance"] if found else 0
        head.held = sum(hold.points for hold in held)
        # Each posting moved entries = lots granted - lots used + held - debt, and so did all of them together.
        head.debt = sum(lot["remaining"] for lot in lots[account]) + head.held - head.balance
        head.active_at = max(
            (at for at in (found["active_at"] if found else None, held_at.get(account)) if at), default=None
        )
        context.books[account] = Book(
            head,
            [_open_lot(lot) for lot in lots[account] if lot["remaining"]],
            held,
            as_of,
            context.programs.idle_deadline,
            context.journal,
        )
        post_due(context, context.books[account], as_of)
    return context, sums


def _open_holds(
    rows: Sequence[Record],
) -> tuple[dict[int, dict[str, tuple[int, int, datetime]]], dict[int, datetime], dict[int, int]]:
    """By account: holds that nothing known has ended, when the last hold was taken, and the last posting's number."""
    holds: dict[int, dict[str, tuple[int, int, datetime]]] = defaultdict(dict)
    held_at: dict[int, datetime] = {}
    last: dict[int, int] = {}
    for row in rows:
        account, kind = row["account"], row["kind"]
        last[account] = row["number"]
        if kind == "redemption":
            held = redemption_facts(row["facts"])
            if held.until is not None:
                holds[account][row["id"]] = (row["number"], held.points, held.until)
                held_at[account] = max(held_at.get(account, row["occurred_at"]), row["occurred_at"])
        elif kind == "merge":
            moved = merge_facts(row["facts"])
            if moved.direction == "out":
                holds[account].clear()
            elif moved.until is not None:
                holds[account][row["subject"]] = (row["number"], moved.points, moved.until)
            if moved.active_at is not None:
                held_at[account] = max(held_at.get(account, moved.active_at), moved.active_at)
        elif kind in ENDINGS:
            holds[account].pop(row["subject"], None)
    return holds, held_at, last


def _open_lot(row: Record) -> OpenLot:
    return OpenLot(
        row["lot"], row["origin"], row["remaining"], row["earned_at"], row["spendable_from"], row["expires_at"],
        row["idle"], row["purchase_id"],
    )  # fmt: skip


def _head(account: int, member_id: str, version: ProgramVersion, changes: list[Change]) -> Head:
    standing = standing_of(version.program, changes)
    return Head(
        account=account,
        status="active",
        merged_into=None,
        member_id=member_id,
        number=0,
        seq=0,
        lots=0,
        balance=0,
        held=0,
        debt=0,
        hash=GENESIS,
        recorded_at=BEGINNING,
        due_at=None,
        pending_until=None,
        active_at=None,
        purchases=0,
        tier=standing.tier if standing else None,
        tier_since=standing.since if standing else None,
        tier_valid_until=standing.valid_until if standing else None,
        tier_verdict_at=standing.verdict_at if standing else None,
        tier_ground_at=standing.ground_at if standing else None,
        tier_judged_at=standing.judged_at if standing else None,
        spend_bound=0,
        visits_bound=0,
        bound_at=BEGINNING,
        loaded=True,
    )
