"""The write path reads by keys from the first day on, when the planner knows nothing of the tables yet."""

from tests.builders import open_ledger, program, purchase

MEMBERS = 20


async def test_a_lock_reads_no_request_but_those_asked_for(database_url: str) -> None:
    """Planned while the tables were empty, the look-up read all requests of the shard: each batch was slower."""
    names = [f"m{number}" for number in range(MEMBERS)]
    async with open_ledger(database_url, program(), *names, pool_size=1) as ledger:
        for _ in range(20):
            await ledger.all(*(purchase(1000, member=name) for name in names for _ in range(10)))
        async with ledger.engine.pool.acquire() as connection, connection.transaction():
            await connection.fetch(
                "select * from lock_accounts(0::smallint, array[1], '{}',"
                " array_fill('purchase'::posting_kind, array[200]),"
                " array(select 'none-' || i from generate_series(1, 200) i), false)"
            )
            read = await connection.fetchval(
                "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
                " where relname = 'posting'"
            )
    assert read == 0
