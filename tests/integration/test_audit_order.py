"""The audit of the order of spending: soonest to expire first, also where somebody re-numbered what was used."""

from datetime import timedelta

import pytest

from loyalty.audit import audit
from loyalty.db.connect import connect_owner
from tests.builders import START, Ledger, adjust, open_ledger, program, redeem

SWAPPED = """
set session_replication_role = replica;
update lot_use set ordinal = ordinal + 10 where posting = 4;
update lot_use set ordinal = 13 - ordinal where posting = 4;
"""


async def _spent(ledger: Ledger) -> None:
    """Three lots, of which two are spent."""
    for days in (30, 20, 10):
        await ledger.do(adjust(100, expires_at=START + timedelta(days=days)))
    await ledger.do(redeem(150))


async def test_points_are_recorded_as_spent_soonest_to_expire_first(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await _spent(ledger)
        used = await ledger.fetch("select ordinal, lot, points from lot_use order by ordinal")
        assert [tuple(use) for use in used] == [(1, 3, 100), (2, 2, 50)]


@pytest.mark.parametrize(
    ("tampering", "key", "message"),
    [
        (SWAPPED, "posting=4 ordinal=2", "was spent after points that die later"),
        (
            "update lot_use set ordinal = 3 where ordinal = 2",
            "posting=4 ordinal=3",
            "is number 2 of its posting",
        ),
    ],
)
async def test_a_use_out_of_its_order_is_named(
    database_url: str, tampering: str, key: str, message: str
) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await _spent(ledger)
        owner = await connect_owner(database_url)
        await owner.execute("set session_replication_role = replica")
        kept = await owner.fetch("select * from lot_use")
        await owner.execute(tampering)
        found = await audit(database_url, processes=1)
        assert ("lot_use", key, message) in {(row.table, row.key, row.message) for row in found.rows}
        await owner.execute("delete from lot_use")
        await owner.copy_records_to_table("lot_use", records=[tuple(row) for row in kept])
        await owner.close()
