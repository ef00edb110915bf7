"""The archive: the texts of old postings, moved to a table that may lie on cheaper disk. Reads find them there."""

from datetime import datetime

from asyncpg import Record

from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.others import Others
from loyalty.engine.past_due import Counts, Progress, Sizes
from loyalty.engine.stretches import Stretches
from loyalty.errors import FutureTime
from loyalty.ledger import store

RANGE_POSTINGS = 250
"""Postings, old and new, of a range of accounts; one account may have more."""
SIZES = Sizes(alone=4, beside=1)
"""Ranges in one transaction."""
MOST = 1_000
"""Postings that one transaction moves: an account may have any number."""


async def archive(engine: Access, before: datetime, dry_run: bool, progress: Progress | None) -> Counts:
    """Moves the facts and answers of postings that were recorded before an instant, slowly while others write.

    Nothing else changes: balances, the past, replies to repeated requests, returns, explanations, the audit and the
    backtest read as before. Each chunk is a transaction: stopped half-way it goes on from there when it is run again.
    With `dry_run` it is only counted.

    Returns:
        counts: postings; bytes, as they lie on disk, compressed.
    Raises:
        FutureTime: `before` is after the ledger's clock.
    """
    counts: Counts = dict.fromkeys(("postings", "bytes"), 0)
    async with engine.pool.acquire() as connection:
        now = await store.ledger_now(connection)
        if before > now:
            raise FutureTime(
                f"{before.isoformat()} is after the ledger's clock ({now.isoformat()}): only the past can be archived.",
                now=now,
            )
        ranges: list[tuple[int, Record]] = []
        for shard in range(engine.shards):
            found = await connection.fetch(query("archive_ranges"), shard, RANGE_POSTINGS)
            ranges += [(shard, row) for row in found]
    to_do = sum(row["postings"] for _, row in ranges)
    next_range = done = 0
    others = Others()
    stretches = Stretches(*SIZES, others.are_there)
    while next_range < len(ranges):
        async with stretches.next() as size, engine.pool.acquire() as connection:
            shard = ranges[next_range][0]
            chunk = [row for its_shard, row in ranges[next_range : next_range + size] if its_shard == shard]
            where = shard, chunk[0]["first"], chunk[-1]["last"], before
            if dry_run:
                moved = await connection.fetchrow(query("archive_count"), *where)
            else:
                moved = await connection.fetchrow(query("archive_postings"), *where, MOST)
            await others.look(connection)
        for name in counts:
            counts[name] += moved[name]
        if dry_run or moved["postings"] < MOST:
            next_range += len(chunk)
            done += sum(row["postings"] for row in chunk)
        if progress is not None:
            await progress(min(done / max(to_do, 1), 1.0), counts)
    return counts
