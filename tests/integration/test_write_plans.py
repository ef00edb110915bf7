"""The write path reads by keys from the first day on, when the planner knows nothing of the tables yet."""

from datetime import timedelta

from loyalty.db.connect import connect_owner
from loyalty.db.sql import query
from loyalty.ledger.rows import EVER
from loyalty.ledger.store import lock_accounts
from tests.builders import START, adjust, expiry, open_ledger, program, purchase

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
                " array(select 'none-' || i from generate_series(1, 200) i), false, '{}', true)"
            )
            read = await connection.fetchval(
                "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
                " where relname = 'posting'"
            )
    assert read == 0


async def test_a_purchase_reads_of_the_lots_those_that_its_receipt_counts(database_url: str) -> None:
    """All lots of a member with pending points came along with each purchase, however many they were."""
    source = program("pending_days = 14\n" + expiry("after", days=365))
    async with open_ledger(database_url, source, "ada", pool_size=1) as ledger:
        for points in (10, 20, 30):
            await ledger.do(adjust(points, expires_at=START + timedelta(days=300)))
        await ledger.do(purchase(4000))
        receipt = await ledger.do(purchase(5000))
        assert (receipt.balance.available, receipt.balance.pending) == (60, 90)
        account = await ledger.value("select account from account")
        form = "0::smallint, array[$1::bigint], $2::bigint[], '{}', '{}', false, '{}', true"
        lots = f"select lots from lock_accounts({form})"
        async with ledger.engine.pool.acquire() as connection:
            assert [lot["remaining"] for lot in await connection.fetchval(lots, account, [])] == [40, 50]
            assert len(await connection.fetchval(lots, account, [account])) == 5


async def test_what_is_due_is_counted_by_its_index_alone(database_url: str) -> None:
    """It read each account: as many pages as the ledger has members, while tills waited for the disk."""
    names = [f"m{number}" for number in range(MEMBERS)]
    async with open_ledger(database_url, program(expiry("after", days=30)), *names, pool_size=1) as ledger:
        await ledger.all(*(purchase(1000, member=name) for name in names))
        later = await ledger.move_clock(timedelta(days=31))
        owner = await connect_owner(database_url)
        await owner.execute("vacuum analyze account")
        async with owner.transaction():
            await owner.execute("set local enable_seqscan = off")
            assert await owner.fetchval(query("count_due"), 0, later, "any") == MEMBERS
            assert await owner.fetchval(query("count_due"), 0, later, "hold") == 0
            read = await owner.fetchval(
                "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
                " where relname = 'account'"
            )
        await owner.close()
    assert read == 0


async def test_a_purchase_reads_what_was_used_of_limits_on_its_own_day(database_url: str) -> None:
    """Every day on which a member ever had of a limited rule came along with each purchase."""
    limited = '[[rules]]\nid = "daily"\nkind = "flat"\npoints = 1\nlimit = { per_member_day = 1 }\n'
    async with open_ledger(database_url, program(rules=limited), "ada", pool_size=1) as ledger:
        for day in range(30):
            await ledger.do(purchase(100, at=START - timedelta(days=day)))
        account = await ledger.value("select account from account")
        assert await ledger.value("select count(*) from counter") == 31
        days = [EVER, (START - timedelta(days=4)).date()]
        async with ledger.engine.pool.acquire() as connection, connection.transaction():
            locked = await lock_accounts(connection, 0, {account: False}, [], days=days)
        assert [(row.day, row.times) for row in locked.counters[account]] == [(days[0], 30), (days[1], 1)]
        receipt = await ledger.do(purchase(100, at=START - timedelta(days=4)))
        assert receipt.points_earned == 0, "the day's own is used up"


async def test_the_lock_of_the_version_before_may_stand_beside_this_one(database_url: str) -> None:
    """With as many arguments both were ambiguous: nobody could write while one server after the other was updated."""
    async with open_ledger(database_url, program(), "ada", pool_size=1) as ledger:
        owner = await connect_owner(database_url)
        await owner.execute(
            "create function lock_accounts(smallint, bigint[], bigint[], posting_kind[], text[], boolean, boolean)"
            " returns void language sql as ''"
        )
        await owner.close()
        assert (await ledger.do(purchase(1000))).points_earned == 10
