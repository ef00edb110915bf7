"""Purchases update the heads of accounts in place: no index is touched, and no dead row waits for the vacuum."""

import asyncio

from loyalty.db.connect import connect_owner
from tests.builders import expiry, open_ledger, program, purchase

ROUNDS = 20


async def _updates(url: str, at_least: int) -> tuple[int, int]:
    """Updates of heads so far, and those that were HOT. Connections tell when they end, so this waits for them."""
    connection = await connect_owner(url)
    try:
        async with asyncio.timeout(20):
            while True:
                row = await connection.fetchrow(
                    "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'account'"
                )
                if row["n_tup_upd"] >= at_least:
                    return row["n_tup_upd"], row["n_tup_hot_upd"]
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def test_heads_are_updated_hot(database_url: str) -> None:
    members = [f"m{at}" for at in range(40)]
    async with open_ledger(database_url, program(expiry(days=30)), *members) as ledger:
        # The first purchase says when the account is due, which is in an index.
        await ledger.all(*(purchase(member=member) for member in members))
    updates, hot = await _updates(database_url, len(members))
    async with open_ledger(database_url, at=None) as ledger:
        for _ in range(ROUNDS):
            now = await ledger.engine.now()
            await ledger.all(*(purchase(1000, now, member) for member in members))
    after, hot_after = await _updates(database_url, updates + ROUNDS * len(members))
    assert after - updates == ROUNDS * len(members)
    # Now and then a page is full: its next reader clears it.
    assert hot_after - hot >= 0.95 * (after - updates)
