"""The expiry: everything that fell due is posted, dated lots by SQL a chunk at a time, all else account by account."""

import asyncio
import time
from collections import Counter
from datetime import datetime

import asyncpg

from loyalty.engine.access import Access
from loyalty.engine.past_due import Counts, Progress, post_chunk, walk
from loyalty.ledger import store

CHUNK = 250
"""Accounts whose lots expire in one transaction, of some 10 ms: so long a till may wait for one of them."""
LANES = 2
"""Chunks under way at once: one is decided while the other is made durable."""
REST = 3.0
"""While others write, each lane rests after a chunk for so many times as long as it took: the cores are the tills'."""
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

    return await walk(engine, "any", through, CHUNK, chunk, progress, LANES)


async def expire_chunk(
    engine: Access,
    connection: asyncpg.Connection,
    shard: int,
    accounts: list[int],
    through: datetime,
    dry_run: bool,
) -> Counts:
    """As `post_chunk`, with the same rows, but in one statement for the accounts that only have dated lots to lose."""
    begun = time.monotonic()
    expired = await store.expire_lots(connection, shard, accounts, through, dry_run=dry_run)
    if expired.beside:
        await asyncio.sleep((time.monotonic() - begun) * REST)
    counts = Counter(accounts=expired.accounts, points_expired=expired.points)
    for at in range(0, len(expired.others), CHUNK_OF_OTHERS):
        others = expired.others[at : at + CHUNK_OF_OTHERS]
        counts.update(await post_chunk(engine, connection, shard, others, through, dry_run))
    return counts
