"""The time-outs of holds: accounts with a hold that has ended, with whatever else is due on them."""

from datetime import datetime

import asyncpg

from loyalty.engine.access import Access
from loyalty.engine.past_due import Counts, Progress, Sizes, post_chunk, walk

SIZES = Sizes(alone=500, beside=50)


async def time_out_holds(
    engine: Access, through: datetime | None, dry_run: bool, progress: Progress | None
) -> Counts:
    """Posts what fell due up to `through`, or only counts it. Raises and counts as `walk` does."""

    async def chunk(
        connection: asyncpg.Connection, shard: int, accounts: list[int], through: datetime
    ) -> Counts:
        return await post_chunk(engine, connection, shard, accounts, through, dry_run)

    return await walk(engine, "hold", through, SIZES, chunk, progress)
