"""The audit of what the program's versions decide: the versions themselves, idle points, and what tiers count."""

from datetime import timedelta

import pytest

from loyalty.audit import Findings, audit
from loyalty.db.connect import connect_owner
from tests.builders import START, adjust, expiry, open_ledger, program, purchase, redeem

IDLE = program(expiry("inactivity", months=6))
ADA = "account = (select account from member where member_id = 'ada')"


async def _tampered(url: str, *statements: str) -> Findings:
    """What an audit finds after somebody who switched every trigger off."""
    assert (await audit(url, processes=1)).clean
    owner = await connect_owner(url)
    try:
        await owner.execute("set session_replication_role = replica")
        for statement in statements:
            await owner.execute(statement)
    finally:
        await owner.close()
    return await audit(url, processes=1)


def _told(found: Findings) -> list[tuple[str, str, str]]:
    return [(row.table, row.key, row.message) for row in found.rows]


@pytest.mark.parametrize(
    "change",
    [
        "source = replace(source, 'points = 1', 'points = 2')",
        "effective_from = effective_from - interval '1 day'",
        "recorded_at = recorded_at - interval '1 microsecond'",
        "format = 'json', source = '{}'",
        "author = 'somebody'",
        "note = 'approved'",
        "hash = sha256('x')",
    ],
)
async def test_a_version_of_the_program_that_was_changed_is_named(database_url: str, change: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.put(IDLE, START + timedelta(days=10))
        await ledger.put(program())
    found = await _tampered(database_url, f"update program_version set {change} where version = 2")
    assert ("program_version", "version=2", "does not follow the chain: it was changed") in _told(found)
    named = {row.key for row in found.rows}
    assert named == ({"version=2", "version=3"} if "hash" in change else {"version=2"})


async def test_versions_that_changed_places_are_named(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.put(IDLE)
        await ledger.put(program())
    found = await _tampered(
        database_url,
        "update program_version set version = version + 10 where version in (2, 3)",
        "update program_version set version = 15 - version where version > 10",
    )
    assert {row.table for row in found.rows} == {"program_version"}


async def test_the_digest_tells_versions_that_were_chained_anew(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase())
        before = (await audit(database_url, processes=1)).digest
        await ledger.put(IDLE)
        after = await audit(database_url, processes=1)
        assert after.clean
        assert after.digest != before


async def test_idle_points_that_would_outlive_their_end_are_named(database_url: str) -> None:
    async with open_ledger(database_url, IDLE, "ada") as ledger:
        await ledger.do(purchase())
    found = await _tampered(
        database_url, f"update account set due_at = due_at + interval '1 day' where {ADA}"
    )
    assert [row[:2] for row in _told(found)] == [("account", "")]
    assert "but the first thing is due 2026-09-02" in found.rows[0].message


async def test_idle_points_live_by_the_version_of_their_last_activity(database_url: str) -> None:
    shorter = START + timedelta(days=10)
    async with open_ledger(database_url, IDLE, "ada", "bob") as ledger:
        await ledger.do(purchase())
        await ledger.do(purchase(member="bob"))
        await ledger.put(program(expiry("inactivity", months=2)), shorter)
        await ledger.move_clock(shorter + timedelta(days=1))
        await ledger.do(purchase(at=await ledger.engine.now()))
    found = await _tampered(
        database_url, f"update account set due_at = '2026-09-02 04:00Z' where {ADA}"
    )  # the end by the version before
    assert [row.member_id for row in found.rows] == ["ada"]
    assert "due_at is 2026-09-02" in found.rows[0].message


SWAPPED = (
    "update lot_use set ordinal = ordinal + 10 where posting = {0}",
    "update lot_use set ordinal = 13 - ordinal where posting = {0}",
)


@pytest.mark.parametrize("dies_in_days", [30, 300])
async def test_idle_points_spent_out_of_their_order_are_named(database_url: str, dies_in_days: int) -> None:
    """Points that die before the idle ones, and points that die after them."""
    async with open_ledger(database_url, IDLE, "ada") as ledger:
        await ledger.do(purchase())
        await ledger.do(adjust(100, expires_at=START + timedelta(days=dies_in_days)))
        await ledger.do(redeem(150))
        used = [row["lot"] for row in await ledger.fetch("select lot from lot_use order by ordinal")]
        assert used == ([2, 1] if dies_in_days == 30 else [1, 2])
    found = await _tampered(database_url, *(text.format(3) for text in SWAPPED))
    assert ("lot_use", "posting=3 ordinal=2", "was spent after points that die later") in _told(found)


async def test_idle_points_that_were_taken_before_they_died_are_named(database_url: str) -> None:
    async with open_ledger(database_url, IDLE, "ada") as ledger:
        await ledger.do(purchase())
        await ledger.do(redeem(100))
    found = await _tampered(database_url, "update lot_use set purpose = 'expire' where posting = 2")
    assert ("lot_use", "posting=2 ordinal=1", "expires a lot before its time") in _told(found)


async def test_idle_points_spent_after_they_had_died_are_named(database_url: str) -> None:
    async with open_ledger(database_url, IDLE, "ada") as ledger:
        await ledger.do(purchase())
        await ledger.move_clock(timedelta(days=150))
        await ledger.do(redeem(100))
    found = await _tampered(
        database_url, "update posting set occurred_at = '2025-03-02Z' where number = 1",
        "update lot_use set occurred_at = '2025-03-02Z'",
    )  # fmt: skip
    assert ("lot_use", "posting=2 ordinal=1", "uses a lot that had expired") in _told(found)


@pytest.mark.parametrize("bound", ["spend_bound = spend_bound - 1", "visits_bound = visits_bound - 1"])
async def test_a_bound_below_what_a_tier_counts_is_named(database_url: str, bound: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(at=START - timedelta(days=1)))
        await ledger.do(purchase())
    found = await _tampered(database_url, f"update account set {bound} where {ADA}")
    assert [(row.table, row.member_id) for row in found.rows] == [("account", "ada")]
    assert "are below what a tier's window holds: 20000 and 2" in found.rows[0].message


async def test_bounds_hold_when_old_purchases_have_left_the_window(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        for day in range(3):
            await ledger.do(purchase(300000, at=START + timedelta(days=200 * day), id=f"p{day}"))
            await ledger.move_clock(START + timedelta(days=200 * (day + 1)))
    within = f"update account set spend_bound = 600000, visits_bound = 2 where {ADA}"
    assert (await _tampered(database_url, within)).clean
    found = await _tampered(database_url, f"update account set spend_bound = 599999 where {ADA}")
    assert "are below what a tier's window holds: 600000 and 2" in found.rows[0].message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("spend_bound = 10000", "holds: 20000 and 1"),
        ("active_at = null", "active_at is empty, must be 2026-03-02"),
    ],
)
async def test_what_came_with_a_merge_counts(database_url: str, change: str, message: str) -> None:
    async with open_ledger(database_url, IDLE, "ada", "old") as ledger:
        await ledger.do(purchase(member="old"))
        await ledger.do(purchase(at=START - timedelta(hours=1)))
        await ledger.engine.merge("old", "ada")
    found = await _tampered(database_url, f"update account set {change} where {ADA}")
    assert [row.member_id for row in found.rows] == ["ada"]
    assert message in found.rows[0].message
