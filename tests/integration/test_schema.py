"""What migrations and functions make of an empty database is what the code reads and writes, column by column."""

from typing import Any

import asyncpg
import pytest

from loyalty.db.connect import connect_owner
from loyalty.ledger import rows
from loyalty.ledger.state import Head, OpenLot, UsedLot
from loyalty.ledger.store import Recorded
from loyalty.rewards.store import CancelledRow, VoucherRow

ROW_TYPES: dict[str, tuple[str, ...]] = {
    "posting_row": rows.PostingRow._fields,
    "entry_row": rows.EntryRow._fields,
    "lot_row": rows.LotRow._fields,
    "use_row": rows.UseRow._fields,
    "tier_row": rows.TierRow._fields,
    "hold_row": rows.HoldRow._fields,
    "ended_hold": rows.EndedHold._fields,
    "counter_row": rows.CounterRow._fields,
    "budget_row": rows.BudgetRow._fields,
    "voucher_row": VoucherRow._fields,
    "cancelled_row": CancelledRow._fields,
    "head_row": rows.HeadRow._fields,
    "locked_head": tuple(name for name in Head.__struct_fields__ if name != "loaded"),
    "open_lot_row": ("account", *OpenLot.__struct_fields__),
    "found_request": ("kind", "id", *Recorded._fields),
    "used_lot": ("account", "posting", *UsedLot.__struct_fields__),
}
STORED = {
    "posting": "posting_row",
    "entry": "entry_row",
    "lot": "lot_row",
    "lot_use": "use_row",
    "tier_change": "tier_row",
    "open_hold": "hold_row",
    "counter": "counter_row",
    "open_lot": "open_lot_row",
    "voucher": "voucher_row",
}
BY_THE_DATABASE = {"entry": {"counter"}}
"""Columns that post() works out by itself."""


@pytest.fixture
async def owner(database_url: str) -> Any:
    connection = await connect_owner(database_url)
    yield connection
    await connection.close()


async def _columns(owner: asyncpg.Connection, name: str) -> list[str]:
    found = await owner.fetch(
        "select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
        f"loyalty.{name}",
    )
    return [row["attname"] for row in found]


@pytest.mark.parametrize("name", ROW_TYPES)
async def test_row_types_have_the_fields_of_the_rows_in_their_order(
    owner: asyncpg.Connection, name: str
) -> None:
    assert await _columns(owner, name) == list(ROW_TYPES[name])


@pytest.mark.parametrize("table", STORED)
async def test_tables_hold_every_field_of_their_rows_and_nothing_else(
    owner: asyncpg.Connection, table: str
) -> None:
    stored = set(await _columns(owner, table)) - {"shard"} - BY_THE_DATABASE.get(table, set())
    assert stored == set(await _columns(owner, STORED[table]))


async def test_every_key_of_accounts_begins_with_the_shard(owner: asyncpg.Connection) -> None:
    found = await owner.fetch(
        "select c.relname, i.indexrelid::regclass::text as index, a.attname as first from pg_index i"
        " join pg_class c on c.oid = i.indrelid join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]"
        " where c.relnamespace = 'loyalty'::regnamespace and i.indisunique and exists ("
        "  select from pg_attribute s where s.attrelid = c.oid and s.attname = 'shard')"
    )
    directory = {"member", "identifier", "person"}
    keys = {row["index"]: row["first"] for row in found if row["relname"] not in directory}
    assert keys
    assert set(keys.values()) == {"shard"}, keys


async def test_no_index_covers_a_column_that_every_purchase_changes(owner: asyncpg.Connection) -> None:
    changing = {
        *("number", "seq", "lots", "balance", "hash", "recorded_at", "purchases"),
        *("spend_bound", "visits_bound", "active_at"),
    }
    found = await owner.fetch(
        "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)"
        " where i.indrelid = 'loyalty.account'::regclass"
    )
    assert not changing & {row["attname"] for row in found}
    lots = await owner.fetch(
        "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)"
        " where i.indrelid = 'loyalty.open_lot'::regclass"
    )
    assert "remaining" not in {row["attname"] for row in lots}
