"""Promise 11 at any size: one account's past is read by its keys, however many others there are."""

import re
from datetime import timedelta
from typing import Any

import pytest

from bench import data
from loyalty.db.sql import query
from tests.builders import Ledger, hold, open_ledger, program, purchase

MEMBERS = 3_000
TABLES = ("posting", "entry", "lot", "lot_use", "tier_change")
# The statements that a past balance and tier read by, and how many arguments each takes.
STATEMENTS = {
    "past_postings": ["0", "array[7]", "now()", "now()"],
    "past_lots": ["0", "array[7]", "array[1]", "now()"],
    "past_sums": ["0", "array[7]", "array[1]", "now()"],
    "past_qualifying": ["0", "array[7]", "now()", "now()"],
    "tier_changes": ["0", "array[7]"],
    "uses": ["array[7]", "array[1]"],
}


@pytest.fixture
async def grown(database_url: str) -> Any:
    async with open_ledger(database_url, program(), at=None) as ledger:
        await data.load_members(database_url, MEMBERS)
        await data.load_lots(database_url, 4)
        now = await ledger.engine.now()
        names = [f"m{number:08}" for number in range(1, MEMBERS // 2)]
        await ledger.all(*(purchase(600000, now, name) for name in names))  # each reaches silver
        await ledger.all(*(hold(5, name) for name in names))
        await data.execute(database_url, "vacuum analyze")
        yield ledger


async def test_a_past_balance_and_tier_of_one_account_are_index_reads(grown: Ledger) -> None:
    """No statement scans a table of the ledger, none reads more rows than the account has."""
    for name, arguments in STATEMENTS.items():
        statement = query(name)
        for place, argument in enumerate(arguments, 1):
            statement = re.sub(rf"\${place}(?!\d)", f"({argument})", statement)
        async with grown.engine.pool.acquire() as connection:
            plan = "\n".join(
                row[0] for row in await connection.fetch(f"explain (analyze, costs off) {statement}")
            )
        scanned = re.findall(rf"(?:Seq|Bitmap Heap) Scan on ({'|'.join(TABLES)})\b", plan)
        assert not scanned, f"{name}\n{plan}"
        rows = [float(found) for found in re.findall(r"Scan.*\(actual .*?rows=([\d.]+)", plan)]
        assert max(rows) <= 10, f"{name}\n{plan}"
    yesterday = await grown.engine.now() - timedelta(days=1)
    assert (await grown.balance("m00000007", as_of=yesterday)).balance == 40_000
