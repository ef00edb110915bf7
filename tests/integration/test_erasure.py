"""Erasure: all that is left is forfeited, the books stay whole."""

import pytest

from loyalty.audit import audit
from loyalty.db.connect import connect_owner
from loyalty.errors import InsufficientPoints
from loyalty.types import PurchaseRedemption
from tests.builders import adjust, expiry, goods_back, open_ledger, program, purchase


@pytest.mark.parametrize("policy", [expiry("never"), expiry("inactivity", days=20), expiry(days=30)])
async def test_pending_points_are_forfeited_with_the_others_which_is_no_spending(
    database_url: str, policy: str
) -> None:
    """They left before their time as if adjusted, which no adjustment may do."""
    async with open_ledger(database_url, program(f"pending_days = 14\n{policy}"), "ada") as ledger:
        await ledger.do(adjust(40))
        await ledger.do(purchase(10000, id="p"))
        assert await ledger.points() == (40, 0, 100, 0)
        await ledger.refused(adjust(-41), InsufficientPoints)
        assert await ledger.engine.erase("ada") == 140
        entries = await ledger.fetch("select kind::text, points from entry order by seq")
        assert [tuple(entry) for entry in entries] == [("adjust", 40), ("earn", 100), ("adjust", -140)]
        answer = await ledger.do(goods_back("p", await ledger.engine.now()))
        assert (answer.points_clawed_back, answer.debt_added) == (0, 0)


async def test_what_comes_back_to_nobody_is_forfeited_at_once(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(100))
        await ledger.do(purchase(10000, id="p", pay=PurchaseRedemption("r", points=60)))
        await ledger.engine.erase("ada")
        answer = await ledger.do(goods_back("p", await ledger.engine.now()))
        assert (answer.points_restored, answer.balance.balance) == (60, 0)


async def test_points_forfeited_by_nobody_who_left_are_named(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(100))
        await ledger.do(adjust(-30))
        owner = await connect_owner(database_url)
        for purpose, clean in (("forfeit", False), ("adjust", True)):
            await owner.execute("set session_replication_role = replica")
            await owner.execute("update lot_use set purpose = $1::text::use_purpose", purpose)
            found = await audit(database_url, processes=1)
            assert found.clean == clean
            assert clean or ("lot_use", "posting=2") in {(row.table, row.key) for row in found.rows}
        await owner.close()
