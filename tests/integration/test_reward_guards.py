"""Whoever changes a voucher, its end or a stock is named by the audit; settle_claims() refuses what was not posted."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from loyalty.audit import audit
from loyalty.db.connect import open_pool
from loyalty.rewards.store import CancelledRow, Settlement, VoucherRow, settle
from tests.integration.everything import copy_of, everything, execute, value

K3 = "claim_id = 'k3'"
CODE = "code = (select code from voucher where claim_id = '{}')"
TAMPERED = {
    f"update voucher set code = 'X' where {K3}": ("voucher", "claim_id=k3"),
    f"update voucher set account = account - 1 where {K3}": ("voucher", "claim_id=k3"),
    f"update voucher set valid_until = now() where {K3}": ("voucher", "claim_id=k3"),
    f"update voucher set version = 2 where {K3}": ("voucher", "claim_id=k3"),
    f"update voucher set counted = false where {K3}": ("reward_stock", "reward_id=lamp"),
    f"delete from voucher where {K3}": ("voucher", "claim_id=k3"),
    "insert into voucher select 'Y', account, 99, 'k9', reward_id, version, counted, valid_until, recorded_at"
    f" from voucher where {K3}": ("voucher", "claim_id=k9"),
    f"insert into voucher_end select code, 'cancelled', null, null, now() from voucher where {K3}": (
        "voucher_end", "claim_id=k3"),
    f"delete from voucher_end where {CODE.format('k2')}": ("voucher_end", "claim_id=k2"),
    f"update voucher_end set ending = 'used', use_id = 'n9' where {CODE.format('k2')}": ("voucher_end", "claim_id=k2"),
    f"update voucher_end set recorded_at = '2001-01-01Z' where {CODE.format('k1')}": ("voucher_end", "use_id=n1"),
    "delete from reward_version where reward_id = 'cash'": ("voucher", "claim_id=k4"),
    "update reward_stock set units = units + 1": ("reward_stock", "reward_id=lamp"),
    "delete from reward_stock": ("reward_stock", "reward_id=lamp"),
    "update stock_move set units = 5": ("reward_stock", "reward_id=lamp"),
    "delete from stock_move": ("reward_stock", "reward_id=lamp"),
}  # fmt: skip


@pytest.fixture(scope="module")
def template(postgres_url: str) -> Iterator[str]:
    with everything(postgres_url) as name:
        yield name


@pytest.fixture
async def ledger(postgres_url: str, template: str) -> AsyncIterator[str]:
    async with copy_of(postgres_url, template) as url:
        yield url


async def test_an_untouched_ledger_is_clean(ledger: str) -> None:
    assert (await audit(ledger, processes=1)).rows == []


@pytest.mark.parametrize("statement", TAMPERED)
async def test_a_changed_row_is_named(ledger: str, statement: str) -> None:
    await execute(ledger, "set session_replication_role = replica", statement)
    found = {(row.table, row.key) for row in (await audit(ledger, processes=1)).rows}
    assert TAMPERED[statement] in found


FORGED = {
    "a voucher that no claim stands behind": ("claim", 1, "k9"),
    "a second voucher of a claim under another name": ("claim", 2, "k9"),
    "a cancellation that was not posted": ("cancellation", 2, "k1"),
}


@pytest.mark.parametrize("forged", FORGED)
async def test_vouchers_and_stock_follow_postings_alone(ledger: str, forged: str) -> None:
    kind, posting, claim_id = FORGED[forged]
    before = await value(ledger, "select units from reward_stock")
    ivy = await value(ledger, "select account from member where member_id = 'ivy'")
    pool = await open_pool(ledger, size=1)
    async with pool.acquire() as connection:
        code = await connection.fetchval("select code from voucher where claim_id = $1", claim_id)
        now = await connection.fetchval("select now()")
        settlement = Settlement()
        if kind == "claim":
            settlement.vouchers.append(VoucherRow("Z", ivy, posting, claim_id, "lamp", 1, True, None, now))
        else:
            settlement.cancelled.append(CancelledRow(code, ivy, posting))
        with pytest.raises(asyncpg.PostgresError) as refused:
            await settle(connection, 0, settlement)
        assert refused.value.sqlstate == "LY001"
    await pool.close()
    assert await value(ledger, "select units from reward_stock") == before
