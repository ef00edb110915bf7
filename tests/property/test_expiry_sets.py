"""What SQL expires a chunk at a time is, byte for byte, what any write would have posted account by account."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from loyalty.db.connect import connect_owner
from loyalty.db.sql import query
from loyalty.engine.expire import expire_chunk
from loyalty.engine.past_due import Counts, post_chunk
from loyalty.ledger import store
from tests.builders import (
    Ledger,
    adjust,
    expiry,
    goods_back,
    hold,
    open_ledger,
    program,
    purchase,
    redeem,
)

TABLES = ("posting", "entry", "lot", "lot_use", "tier_change", "account", "open_lot", "open_hold", "counter")
NAMES = ("accounts", "holds_timed_out", "points_expired", "verdicts")
POLICIES = [
    expiry(days=5),
    expiry(days=20) + "\npending_days = 3",
    expiry(days=1, round_to="month") + "\nrestore_grace_days = 4",
    expiry("inactivity", days=15),
    expiry("never"),
]
SOURCES = [program(policy, policy="validity_months = 1") for policy in POLICIES]
_examples = count(1)

STEP = st.tuples(
    st.sampled_from(["buy", "buy", "buy", "adjust", "adjust", "redeem", "hold", "back", "policy", "merge"]),
    st.integers(0, 3),  # member
    st.integers(1, 60),  # how much, and how long
    st.integers(0, 6),  # days until the next
)

Chunk = Callable[..., Awaitable[Counts]]


async def _live(ledger: Ledger, steps: list[tuple[str, int, int, int]]) -> None:
    """Members of an example's own do this and that, each step some days after the other."""
    members = [f"x{next(_examples)}" for _ in range(4)]
    await ledger.enrol(*members)
    bought = {member: [] for member in members}  # type: dict[str, list[str]]
    for what, who, much, days in steps:
        member, now = members[who], await ledger.engine.now()
        if what == "buy":
            request = purchase(much * 10_000 if much > 55 else much * 100, now - timedelta(days=days), member)
            bought[member].append(request.purchase_id)
            await ledger.all(request)
        elif what == "adjust":
            ends_at = (now + timedelta(days=much % 4 + 1)).replace(hour=0, minute=0, second=0, microsecond=0)
            await ledger.all(adjust(much, member, expires_at=ends_at))  # several lots end at one instant
        elif what == "redeem":
            await ledger.all(redeem(much, member))
        elif what == "hold":
            await ledger.all(hold(much, member, seconds=much * 40_000))
        elif what == "back" and bought[member]:
            await ledger.all(goods_back(bought[member].pop(), now))
        elif what == "policy":
            await ledger.put(SOURCES[much % len(SOURCES)])
        elif what == "merge" and who and members[0] != member:
            await ledger.engine.merge(member, members[0])
            members[who] = members[0]
        await ledger.move_clock(timedelta(days=days, minutes=7))


async def _posted(
    ledger: Ledger, chunk: Chunk, through: datetime, now: datetime
) -> tuple[list[int], list[int], dict[str, Any]]:
    """Counts of a dry run, counts, and all rows, had the chunk run at `now`. Nothing of it stays."""
    connection = await connect_owner(ledger.url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(
            "create or replace function ledger_now() returns timestamptz language sql as"
            f" $$ select timestamptz '{now.isoformat()}' $$"
        )
        rows = await connection.fetch(query("due_accounts"), 0, through, 0, 1_000, "any")
        accounts = [row["account"] for row in rows]
        counts = [
            await chunk(ledger.engine, connection, 0, accounts, through, dry_run) for dry_run in (True, False)
        ]
        tables = {
            name: [row[0] for row in await connection.fetch(f"select t::text from {name} t order by 1")]
            for name in TABLES
        }
        dry, real = ([counted.get(name, 0) for name in NAMES] for counted in counts)
        return dry, real, tables
    finally:
        await transaction.rollback()
        await connection.close()


# Two lots that end at one instant, and one later; the next thing due is a verdict.
@example([("buy", 0, 60, 0), *(("adjust", 0, much, 0) for much in (4, 8, 6))], 6, 0)
@settings(max_examples=30)
@given(steps=st.lists(STEP, min_size=4, max_size=24), wait=st.integers(0, 45), back_days=st.integers(0, 8))
async def test_lots_expire_by_sql_as_any_write_would_post_them(
    database_url: str, steps: list[Any], wait: int, back_days: int
) -> None:
    async with open_ledger(database_url, SOURCES[0], at=None) as ledger:
        await _live(ledger, steps)
        now = await ledger.move_clock(timedelta(days=wait))
        through = now - timedelta(days=back_days)
        alone = await _posted(ledger, post_chunk, through, now)
        together = await _posted(ledger, expire_chunk, through, now)
        note(f"counts {alone[:2]} account by account, {together[:2]} by SQL")
        assert together[:2] == alone[:2]
        for name in TABLES:
            assert together[2][name] == alone[2][name], name
        assert together[0] == together[1], "a dry run counts what a run does"
        await ledger.engine.expire(through)


async def test_sql_leaves_what_it_cannot_decide(database_url: str) -> None:
    """Holds, idle points and due verdicts are for the program; of the rest nothing stays due."""
    members = ("plain", "blocked", "spent", "gold", "held", "idle")
    async with open_ledger(database_url, SOURCES[0], *members) as ledger:
        now = await ledger.engine.now()
        for days, points in ((1, 70), (2, 20), (38, 5)):
            ends_at = now + timedelta(days=days)
            await ledger.all(*(adjust(points, member, expires_at=ends_at) for member in members))
        await ledger.do(redeem(95, "spent"))
        await ledger.do(purchase(3_000_000, now, "gold"))
        await ledger.do(hold(50, "held", seconds=86_400 * 60))
        await ledger.put(SOURCES[3])
        await ledger.do(purchase(1_000, await ledger.engine.now(), "idle"))
        await ledger.engine.pool.execute(
            "update account set status = 'blocked' where account ="
            " (select account from member where member_id = 'blocked')"
        )
        for days, lost, others in ((3, (3, 270), ["held", "idle"]), (40, (2, 10), ["gold", "held", "idle"])):
            through = await ledger.move_clock(now + timedelta(days=days))
            names = {row["account"]: row["member_id"] for row in await ledger.fetch("select * from member")}
            async with ledger.engine.pool.acquire() as connection:
                expired = await store.expire_lots(connection, 0, list(names), through, dry_run=False)
            assert (expired.accounts, expired.points) == lost
            assert sorted(names[account] for account in expired.others) == others
            due = await ledger.value("select count(*) from account where due_at <= $1", through)
            assert due == len(others)


async def test_nobody_can_expire_what_has_not_ended(database_url: str) -> None:
    async with open_ledger(database_url, SOURCES[0], "ada") as ledger:
        now = await ledger.engine.now()
        await ledger.do(adjust(70, expires_at=now + timedelta(days=1)))
        (account,) = [row["account"] for row in await ledger.fetch("select account from account")]
        async with ledger.engine.pool.acquire() as connection:
            with pytest.raises(asyncpg.PostgresError, match="not before") as refused:
                await store.expire_lots(connection, 0, [account], now + timedelta(days=2), dry_run=False)
            assert refused.value.sqlstate == "LY001"
            early = await store.expire_lots(connection, 0, [account], now, dry_run=False)
        assert (early.accounts, early.points, early.others) == (0, 0, [])
        assert await ledger.available() == 70
