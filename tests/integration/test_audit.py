"""`loyalty audit` names the row that differs, whichever table it lies in and whatever was done to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

import loyalty.audit.run as audit_run
from loyalty.audit import Finding, Findings, audit
from loyalty.db.sql import folder
from tests.integration.everything import (
    copy_of,
    engine_of,
    everything,
    execute,
    keep_rows,
    purchase,
    put_rows_back,
    value,
)
from tests.integration.tampering import ADA, ADDED, BOB, CHANGED, HEAD, RE_ORDERED, REMOVED


@pytest.fixture(scope="module")
def template(postgres_url: str) -> Iterator[str]:
    with everything(postgres_url) as name:
        yield name


@pytest.fixture
async def ledger(postgres_url: str, template: str) -> AsyncIterator[str]:
    """The URL of a ledger in which everything happened, for this test alone."""
    async with copy_of(postgres_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def shared_copy(postgres_url: str, template: str) -> Iterator[str]:
    with asyncio.Runner() as runner:
        copy = copy_of(postgres_url, template)
        url = runner.run(copy.__aenter__())
        runner.run(keep_rows(url))
        yield url
        runner.run(copy.__aexit__(None, None, None))


@pytest.fixture
async def rows(shared_copy: str) -> AsyncIterator[str]:
    """The URL of such a ledger whose rows are put back after the test."""
    yield shared_copy
    await put_rows_back(shared_copy)


async def _tamper(url: str, *statements: str) -> None:
    """As a superuser who switches every trigger off."""
    await execute(url, "set session_replication_role = replica", *statements)


def _named(found: Findings, table: str, key: str, member: str = "ada") -> list[Finding]:
    return [row for row in found.rows if (row.table, row.key, row.member_id) == (table, key, member)]


async def test_a_ledger_in_which_everything_happened_is_clean(ledger: str) -> None:
    found = await audit(ledger)
    assert found.clean, found.rows
    assert found.totals.accounts == 9
    assert found.totals.issued > 0 > found.totals.redeemed
    assert found.totals.expired == -90
    kinds = await value(ledger, "select array_agg(distinct kind::text) from entry")
    purposes = await value(ledger, "select array_agg(distinct purpose::text) from lot_use")
    assert set(kinds) >= {"earn", "redeem", "restore", "clawback", "expire", "adjust", "merge"}
    assert set(purposes) >= {"redeem", "hold", "expire", "clawback", "debt", "adjust", "merge"}
    assert found.totals.outstanding == await value(ledger, "select sum(balance) from account")


@pytest.mark.parametrize("statement", [*CHANGED, *REMOVED, *ADDED, *RE_ORDERED])
async def test_the_row_is_named(rows: str, statement: str) -> None:
    table, key = (CHANGED | REMOVED | ADDED | RE_ORDERED)[statement]
    await _tamper(rows, statement)
    found = await audit(rows)
    assert _named(found, table, key), found.rows
    assert {row.member_id for row in found.rows} <= {"ada", None}, "nobody else is accused"


@pytest.mark.parametrize("change", HEAD)
async def test_a_head_that_its_rows_do_not_lead_to_is_named(rows: str, change: str) -> None:
    await _tamper(rows, f"update account set {change} where {ADA}")
    found = await audit(rows)
    (named,) = [row for row in found.rows if row.account is not None]
    assert (named.table, named.member_id) == ("account", "ada")
    assert change.split(" =")[0] in named.message or "balance" in named.message


async def test_a_debt_that_was_wiped_is_named(rows: str) -> None:
    await _tamper(
        rows,
        f"delete from lot_use where purpose = 'debt' and {BOB}",
        f"update open_lot set remaining = remaining + 69 where {BOB}",
        f"update account set balance = balance + 69 where {BOB}",
    )
    found = await audit(rows)
    assert _named(found, "account", "", "bob")
    assert any("does not follow the chain" in row.message for row in found.rows)


async def test_an_account_that_was_removed_with_its_head_alone_is_named(rows: str) -> None:
    account = await value(rows, "select account from member where member_id = 'ada'")
    await _tamper(rows, f"delete from account where {ADA}")
    found = await audit(rows)
    assert ("account", "is not there, though rows name it") in {
        (row.table, row.message) for row in found.rows if row.account == account
    }


async def test_forged_rows_that_are_chained_anew_are_still_named_by_what_they_move(rows: str) -> None:
    """Who can compute hashes may forge the chain, but entries, lots, uses and heads must still add up."""
    await _tamper(
        rows,
        f"update entry set points = points + 500, balance_after = balance_after + 500 where {ADA} and seq = 1",
        f"update entry set balance_after = balance_after + 500 where {ADA} and seq > 1",
        f"update account set balance = balance + 500 where {ADA}",
    )
    found = await audit(rows)
    assert _named(found, "lot", "posting=1")


async def test_a_changed_row_accuses_one_posting_and_none_that_follow(rows: str) -> None:
    await _tamper(rows, f"update posting set facts = '{{}}' where {ADA} and number = 3")
    found = await audit(rows)
    assert [(row.table, row.key) for row in found.rows] == [("posting", "number=3")]


async def test_an_added_row_is_told_apart_from_a_changed_one(rows: str) -> None:
    await _tamper(
        rows,
        f"""insert into lot_use select shard, account, posting, 2, 2, purpose, 1, occurred_at, recorded_at
            from lot_use where {ADA} and posting = 3""",
    )
    found = await audit(rows)
    (broken,) = _named(found, "posting", "number=3")
    assert "lot_use 2 was added" in broken.message


async def test_a_program_version_that_was_removed_is_named(rows: str) -> None:
    await _tamper(rows, "delete from program_version where version = 1")
    found = await audit(rows)
    assert ("program_version", "version=1") in {(row.table, row.key) for row in found.rows}


@pytest.mark.parametrize(
    ("statement", "key"),
    [
        ("alter table entry disable trigger append_only", "trigger=append_only"),
        ("drop trigger append_only_truncate on entry", "trigger=append_only_truncate"),
        ("grant update on entry to loyalty_app", "role=loyalty_app"),
        ("grant delete on entry to public", "role=public"),
        ("grant insert on entry to loyalty_app", "role=loyalty_app"),
        ("grant update (points) on entry to loyalty_app", "role=loyalty_app column=points"),
    ],
)
async def test_a_guard_that_was_taken_away_is_named(ledger: str, statement: str, key: str) -> None:
    await execute(ledger, statement)
    found = await audit(ledger)
    assert ("entry", key) in {(row.table, row.key) for row in found.rows}


async def test_processes_and_ranges_change_nothing_in_the_result(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _tamper(
        ledger, f"update entry set points = 101 where {ADA} and seq = 1", f"delete from account where {BOB}"
    )
    one = await audit(ledger, processes=1)
    monkeypatch.setattr(audit_run, "ROWS_AT_ONCE", 1)
    steps: list[float] = []
    many = await audit(ledger, processes=2, progress=lambda part, _: steps.append(part))
    order = [(row.account or 0, row.table, row.key, row.message) for row in one.rows]
    assert sorted(order) == sorted((row.account or 0, row.table, row.key, row.message) for row in many.rows)
    assert (one.count, one.totals, one.digest) == (many.count, many.totals, many.digest)
    assert len(steps) > 1
    assert steps[-1] == 1.0


async def test_the_digest_changes_with_every_posting_and_with_nothing_else(ledger: str) -> None:
    before = (await audit(ledger)).digest
    assert (await audit(ledger)).digest == before
    async with engine_of(ledger) as engine:
        await engine.submit(purchase("p9", "dan", await engine.now(), 100))
    assert (await audit(ledger)).digest != before


async def test_an_audit_beside_live_traffic_sees_one_state(ledger: str) -> None:
    async with engine_of(ledger) as engine:
        now = await engine.now() - timedelta(minutes=1)

        async def traffic() -> None:
            for number in range(200):
                await engine.submit(purchase(f"x{number}", ("ada", "bob", "dan")[number % 3], now, 1000))

        tills = asyncio.create_task(traffic())
        rounds = 0
        while not tills.done():
            found = await audit(ledger)
            assert found.clean, found.rows
            rounds += 1
        await tills
    assert rounds


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("sums", f"update account set balance = balance + 1 where {ADA}"),
        ("heads", f"update account set seq = seq + 1 where {ADA}"),
        ("open_lots", f"update open_lot set remaining = remaining + 1 where {ADA} and lot = 2"),
        ("open_holds", f"delete from open_hold where {ADA}"),
        ("append_only", "alter table posting disable trigger append_only"),
        ("privileges", "grant truncate on lot to loyalty_app"),
        ("shards", f"update account set shard = 7 where {ADA}"),
    ],
)
async def test_a_check_that_ops_run_by_hand_returns_a_row_only_when_something_is_wrong(
    ledger: str, check: str, statement: str
) -> None:
    text = (folder() / "checks" / f"{check}.sql").read_text()
    assert await value(ledger, text) is None
    assert await value(ledger, f"select count(*) from ({text}) c") == 0
    await _tamper(ledger, statement)
    assert await value(ledger, f"select count(*) from ({text}) c") > 0
    assert not (await audit(ledger)).clean


async def test_points_that_a_merge_made_are_named(rows: str) -> None:
    await _tamper(
        rows, "update entry set points = points + 5, balance_after = balance_after + 5 where kind = 'merge'"
    )
    found = await audit(rows)
    assert ("entry", "kind=merge") in {(row.table, row.key) for row in found.rows}
    assert {row.member_id for row in found.rows} >= {"eve", "finn", "gil"}


async def test_a_hold_that_went_over_with_a_merge_and_was_lost_is_named(rows: str) -> None:
    await _tamper(rows, "delete from open_hold where redemption_id = 'h5'")
    found = await audit(rows)
    assert _named(found, "open_hold", "redemption_id=h5", "finn")
