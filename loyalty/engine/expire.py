"""The expiry: everything that fell due is posted, dated lots by SQL a chunk at a time, all else account by account."""

from collections import Counter
from datetime import datetime

import asyncpg

from loyalty.engine.access import Access
from loyalty.engine.past_due import Counts, Progress, Sizes, post_chunk, walk
from loyalty.ledger import store

SIZES = Sizes(alone=250, beside=50, at_once=2)
"""Beside tills some 2 ms of work: so long one of them may wait for an account. Alone, one chunk is decided while the
other is made durable."""
CHUNK_OF_OTHERS = 100
"""Accounts that are posted one by one in one transaction."""


async def expire(
    engine: Access, through: datetime | None, dry_run: bool, progress: Progress | None
) -> Counts:
    """Posts what fell due up to `through`, or only counts it. Raises and counts as `walk` does."""

    async def chunk(
        connection: asyncpg.Connection, shard: int, accounts: list[int], through: datetime
    ) -> Counts:
        return await expire_chunk(engine, connection, shard, accounts, through, dry_run)

    return await walk(engine, "any", through, SIZES, chunk, progress)


async def expire_chunk(
    engine: Access,
    connection: asyncpg.Connection,
    shard: int,
    accounts: list[int],
    through: datetime,
    dry_run: bool,
) -> Counts:
    """As `post_chunk`, with the same rows, but in one statement for the accounts that only have dated lots to lose."""
    expired = await store.expire_lots(connection, shard, accounts, through, dry_run=dry_run)
    counts = Counter(accounts=expired.accounts, points_expired=expired.points)
    for at in range(0, len(expired.others), CHUNK_OF_OTHERS):
        others = expired.others[at : at + CHUNK_OF_OTHERS]
        counts.update(await post_chunk(engine, connection, shard, others, through, dry_run))
    return counts
