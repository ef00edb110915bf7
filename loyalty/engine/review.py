"""The review of tiers: every verdict that is due, soonest first, in sets of accounts that are posted together."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import asyncpg
from asyncpg import Record

from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.due import post_due
from loyalty.engine.loading import make_context, verdict_due
from loyalty.engine.outlook import elapsed, rows_of_windows, standing_of_row
from loyalty.engine.past_due import Counts, Progress, until
from loyalty.engine.programs import BEGINNING, load_programs
from loyalty.ledger import store

CHUNK = 500
"""Accounts that are locked together."""

Move = tuple[int, str, str, str]
"""Of a verdict: account, tier before, tier after, reason."""


async def review_tiers(
    engine: Access, through: datetime | None, dry_run: bool, progress: Progress | None
) -> Counts:
    """Posts the tier verdicts that fell due up to `through`, each as any write to its account would have posted it.

    Each set of accounts is posted whole or not at all: stopped half-way, it goes on from there when it is run again.
    With `dry_run` nothing is locked or posted.

    Returns:
        counts: accounts, verdicts, renewed, fallen; and as `gold>silver` how many of the accounts were in one tier
        before and are in the other after.
    Raises:
        FutureTime: `through` is after the ledger's clock.
    """
    counts: Counts = dict.fromkeys(("accounts", "verdicts", "renewed", "fallen"), 0)
    async with engine.pool.acquire() as connection:
        through = await until(connection, through)
        to_do = 0
        for shard in range(engine.shards):
            to_do += await connection.fetchval(query("count_verdicts"), shard, through)
        done = 0
        for shard in range(engine.shards):
            after = (BEGINNING, 0)
            while rows := await connection.fetch(query("verdict_accounts"), shard, through, *after, CHUNK):
                after = rows[-1]["tier_verdict_at"], rows[-1]["account"]
                if dry_run:
                    moves = await _foreseen(engine, connection, shard, rows, through)
                else:
                    moves = await _posted(
                        engine, connection, shard, [row["account"] for row in rows], through
                    )
                _count(counts, moves)
                done += len(rows)
                if progress is not None:
                    await progress(min(done / max(to_do, 1), 1.0), counts)
    return counts


async def _foreseen(
    engine: Access, connection: asyncpg.Connection, shard: int, rows: list[Record], through: datetime
) -> list[Move]:
    programs = engine.programs_known = await load_programs(connection, engine.programs_known)
    ends = {row["account"]: row["tier_valid_until"] for row in rows}
    windows = await rows_of_windows(connection, programs, shard, ends)
    moves: list[Move] = []
    for row in rows:
        account = row["account"]
        changes, _ = elapsed(programs, standing_of_row(row), windows[account], through)
        moves += [(account, change.previous or "", change.tier, change.reason) for change in changes]
    return moves


async def _posted(
    engine: Access, connection: asyncpg.Connection, shard: int, accounts: list[int], through: datetime
) -> list[Move]:
    """Posts what is due on the accounts, whatever it is, as the verdicts come between it."""
    async with connection.transaction():
        locked = await store.lock_accounts(connection, shard, dict.fromkeys(accounts, True), [], days=None)
        if locked.program_version != engine.programs_known.newest:
            engine.programs_known = await load_programs(connection, engine.programs_known)
        context = make_context(engine.programs_known, locked)
        books = [book for book in context.books.values() if verdict_due(book.head, through)]
        ends = {book.account: book.head.tier_valid_until for book in books if book.head.tier_valid_until}
        context.rows = await rows_of_windows(connection, engine.programs_known, shard, ends)
        for book in books:
            post_due(context, book, min(through, book.recorded_at))
        if books:
            heads = [book.head_row() for book in books]
            await store.post(connection, shard, heads, context.journal, [], [])
    return [(row.account, row.previous or "", row.tier, row.reason) for row in context.journal.tiers]


def _count(counts: Counts, moves: Iterable[Move]) -> None:
    before: dict[int, str] = {}
    after: dict[int, str] = {}
    for account, previous, tier, reason in moves:
        before.setdefault(account, previous)
        after[account] = tier
        counts["verdicts"] += 1
        counts["renewed" if reason == "renewal" else "fallen"] += 1
    counts["accounts"] += len(before)
    for (was, now), members in sorted(Counter((before[one], after[one]) for one in before).items()):
        counts[f"{was}>{now}"] = counts.get(f"{was}>{now}", 0) + members
