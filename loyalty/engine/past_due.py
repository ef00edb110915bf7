"""What the batches that ops run have in common: accounts with something due, in chunks that never hold up the tills."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal, NamedTuple

import asyncpg

from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.context import Context
from loyalty.engine.due import NAMES, post_due
from loyalty.engine.loading import load_tiers, make_context, verdict_due
from loyalty.engine.others import Others
from loyalty.engine.programs import load_programs
from loyalty.engine.stretches import Stretches
from loyalty.errors import FutureTime
from loyalty.ledger import store

Counts = dict[str, int]
Progress = Callable[[float, Counts], Awaitable[None]]
"""Told after each chunk: the share done (0 to 1) and the counts so far."""
Chunk = Callable[[asyncpg.Connection, int, list[int], datetime], Awaitable[Counts]]
"""Does due accounts of a shard, up to an instant, in a transaction of its own; returns its counts."""


class Sizes(NamedTuple):
    """Accounts in one transaction: while nobody else writes, and beside others; and how many such at once, alone."""

    alone: int
    beside: int
    at_once: int = 1


async def walk(
    engine: Access,
    due: Literal["any", "hold"],
    through: datetime | None,
    sizes: Sizes,
    chunk: Chunk,
    progress: Progress | None,
) -> Counts:
    """Leads `chunk` through all accounts with something due up to `through`; slowly while others write.

    With `hold` only through those with a hold that ended.

    Stopped half-way it has done whole chunks; run again, the rest. Counts: accounts, holds_timed_out, points_expired,
    verdicts. Raises FutureTime if `through` is after the ledger's clock.
    """
    totals = dict.fromkeys(("accounts", *NAMES), 0)
    async with engine.pool.acquire() as connection:
        through = await until(connection, through)
        to_do = 0
        for shard in range(engine.shards):
            to_do += await connection.fetchval(query("count_due"), shard, through, due)
    done, others = 0, Others()
    sets = _Sets(engine.shards, due, through)
    stretches = Stretches(*sizes, others.are_there)
    ours: set[int] = set()

    async def lane() -> None:
        nonlocal done
        while True:
            # No connection is kept through a rest, or while progress is told: the pool may be small.
            async with stretches.next() as size, engine.pool.acquire() as connection:
                found = await sets.next(connection, size)
                if found is None:
                    return
                shard, accounts = found
                ours.add(connection.get_server_pid())
                counts = await chunk(connection, shard, accounts, sets.through)
                await others.look(connection, [*ours])
                ours.discard(connection.get_server_pid())
            for name, count in counts.items():
                totals[name] += count
            done += len(accounts)
            if progress is not None:
                await progress(min(done / max(to_do, 1), 1.0), totals)

    tasks = [asyncio.create_task(lane()) for _ in range(sizes.at_once)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return totals


class _Sets:
    """Accounts with something due up to `through`, shard by shard in the order of their numbers."""

    def __init__(self, shards: int, due: Literal["any", "hold"], through: datetime) -> None:
        self.through = through
        self._shards, self._due = shards, due
        self._shard = self._after = 0
        self._turn = asyncio.Lock()

    async def next(self, connection: asyncpg.Connection, size: int) -> tuple[int, list[int]] | None:
        """The shard and at most `size` accounts, which nobody else gets; None: there is no more."""
        async with self._turn:
            while self._shard < self._shards:
                rows = await connection.fetch(
                    query("due_accounts"), self._shard, self.through, self._after, size, self._due
                )
                if rows:
                    self._after = rows[-1]["account"]
                    return self._shard, [row["account"] for row in rows]
                self._shard, self._after = self._shard + 1, 0
        return None


async def until(connection: asyncpg.Connection, through: datetime | None) -> datetime:
    """`through`, or now. Raises FutureTime if it lies ahead of the ledger's clock."""
    now = await store.ledger_now(connection)
    if through is not None and through > now:
        raise FutureTime(
            f"{through.isoformat()} is after the ledger's clock ({now.isoformat()}): only what is due is posted.",
            now=now,
        )
    return through or now


async def post_chunk(
    engine: Access,
    connection: asyncpg.Connection,
    shard: int,
    accounts: list[int],
    through: datetime,
    dry_run: bool,
) -> Counts:
    """Posts everything due on accounts, as any write that locks them would; with `dry_run` it is only counted."""
    counts = dict.fromkeys(("accounts", *NAMES), 0)
    transaction = connection.transaction()
    await transaction.start()
    try:
        locked = await store.lock_accounts(connection, shard, dict.fromkeys(accounts, True), [], days=None)
        if locked.program_version != engine.programs_known.newest:
            engine.programs_known = await load_programs(connection, engine.programs_known)
        context: Context = make_context(engine.programs_known, locked)
        judged = [book.account for book in context.books.values() if verdict_due(book.head, through)]
        if judged:
            await load_tiers(context, connection, shard, judged)
        heads = []
        for book in context.books.values():
            posted = post_due(context, book, min(through, book.recorded_at))
            if any(posted):
                counts["accounts"] += 1
            for name, count in zip(NAMES, posted, strict=True):
                counts[name] += count
            if book.head.number != book.was_number or book.head.due_at is not None:
                heads.append(book.head_row())
        if heads and not dry_run:
            await store.post(connection, shard, heads, context.journal, [], [])
    except BaseException:
        await transaction.rollback()
        raise
    if dry_run:
        await transaction.rollback()
    else:
        await transaction.commit()
    return counts
