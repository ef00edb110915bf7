"""The audit of what members had of limited rules: counters and budgets are rebuilt from the purchases."""

import asyncpg
import pytest

from loyalty.audit.run import audit
from loyalty.db.connect import connect_owner
from tests.builders import BASE, START, back, goods_back, line, open_ledger, program, purchase

LIMITED = (
    BASE
    + """
[[rules]]
id = "bonus"
kind = "flat"
points = 50
limit = { per_member = 3, per_member_day = 2, budget_points = 1000 }
[[rules]]
id = "lamps"
kind = "units"
points = 10
where = { sku = "LAMP" }
limit = { per_member_points = 200 }
"""
)
TAMPERED = {
    "a count": "update counter set times = times + 1 where not isfinite(day) and rule = 'bonus'",
    "a count of points": "update counter set points = points - 1 where not isfinite(day) and rule = 'lamps'",
    "a count of a day": "update counter set times = times - 1 where isfinite(day) and rule = 'bonus'",
    "a count gone": "delete from counter where rule = 'lamps'",
    "a count of nobody": "insert into counter select shard, account, 'other', '2026-03-02', 1, 1 from member"
    " where member_id = 'bob'",
    "a budget": "update budget set points = points + 1000",
}


async def _limited(url: str) -> None:
    async with open_ledger(url, program(rules=LIMITED), "ada", "bob", "old") as ledger:
        for member in ("ada", "bob", "old"):
            await ledger.do(
                purchase([line(5000), line(3000, 4, sku="LAMP")], member=member, id=f"p-{member}")
            )
            await ledger.do(purchase(20000, member=member))
        await ledger.do(goods_back("p-ada", START, back(2, quantity=1)))
        await ledger.do(goods_back("p-bob"))
        await ledger.engine.merge("old", "ada")
        await ledger.do(goods_back("p-old", START, back(2, quantity=3)))
        await ledger.do(purchase([line(100, 2, sku="LAMP")]))


async def test_counters_follow_purchases_returns_and_merges(database_url: str) -> None:
    await _limited(database_url)
    found = await audit(database_url, processes=1)
    assert found.clean, found.rows
    owner = await connect_owner(database_url)
    try:
        used = await owner.fetch(
            "select m.member_id, c.rule, c.times, c.points from counter c join member m using (account)"
            " where not isfinite(day) order by 1, 2"
        )
        assert {(row[0], row[1]): (row[2], row[3]) for row in used} == {
            ("ada", "bonus"): (4, 200),
            ("ada", "lamps"): (3, 60),
            ("bob", "bonus"): (1, 50),
            ("bob", "lamps"): (0, 0),
            ("old", "bonus"): (2, 100),
            ("old", "lamps"): (1, 40),
        }
    finally:
        await owner.close()


@pytest.mark.parametrize("what", TAMPERED)
async def test_a_changed_count_is_named(database_url: str, what: str) -> None:
    await _limited(database_url)
    owner: asyncpg.Connection = await connect_owner(database_url)
    try:
        await owner.execute(TAMPERED[what])
    finally:
        await owner.close()
    found = await audit(database_url, processes=1)
    assert {row.table for row in found.rows} <= {"counter", "budget"}
    assert found.count


async def test_a_clock_set_back_before_the_first_program_leaves_the_audit_clean(database_url: str) -> None:
    async with open_ledger(database_url, at=None) as ledger:
        await ledger.move_clock(START)
        await ledger.put(program(rules=LIMITED))
        await ledger.enrol("ada")
        await ledger.do(purchase())
    found = await audit(database_url, processes=1)
    assert found.clean, found.rows
