"""An import, account by account and in several processes, comes to what its requests come to one after another."""

import asyncio
import contextlib
import multiprocessing
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loyalty.db.migrate import migrate
from loyalty.errors import ReturnExceedsPurchase, UnknownMember, UnknownPurchase
from loyalty.importing import run
from loyalty.importing.documents import Builder, Built
from loyalty.importing.post import Options
from loyalty.importing.run import import_documents
from loyalty.importing.source import Source
from loyalty.importing.stage import Stage
from loyalty.importing.summary import Summary
from loyalty.processes import ProcessLostError
from tests.builders import BASE, Ledger, expiry, open_ledger, program, purchase
from tests.e2e.shell import dirty_rows, row, write
from tests.integration.test_limits import flat

MEMBERS = [f"m{number}" for number in range(1, 25)]
OPTIONS = Options(digits=2, enrol=False)
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
FIRST = NOW - timedelta(days=300)
TABLES = ("posting", "entry", "lot", "lot_use", "tier_change", "open_lot", "open_hold", "counter", "account")
APART = {
    "recorded_at",
    "hash",
    "answer",
    "shard",
    "account",
    "due_at",
    "spend_bound",
    "visits_bound",
    "bound_at",
}
"""What the clock or a sequence makes different, and bounds. What was answered is compared without its time."""


def documents(seed: int) -> list[str]:
    """Purchases that reach tiers and are long dead by now, returns of some, twice some, and dirt; in no order."""
    chance = random.Random(seed)
    rows = dirty_rows()
    bought: list[tuple[str, str, datetime]] = []
    for number in range(500):
        at, member = FIRST + timedelta(hours=14 * number), chance.choice(MEMBERS)
        rows += [
            row("purchase", f"P{number}", member, at, line=line, line_amount=chance.randrange(1, 900))
            for line in (1, 2)
        ]
        bought.append((f"P{number}", member, at))
        if number % 9 == 0:
            id, whose, then = chance.choice(bought)
            back = f"-{chance.randrange(1, 300)}"
            rows.append(row("return", f"R{number}", whose, then + timedelta(days=3), quantity=-1, line_amount=back,
                            original_purchase_id=id, original_line=1))  # fmt: skip
        if number % 50 == 0:
            rows.append(row("return", f"U{number}", member, at, quantity=-1, line_amount="-5"))
    chance.shuffle(rows)
    return rows


async def one_by_one(ledger: Ledger, file: Path) -> None:
    """The file's requests as tills would send them, each by itself."""
    stage = Stage()
    run._fill(stage, Source(file), lambda *_: None)
    stage.put_in_order()
    builder = Builder(OPTIONS.digits)
    for parcel in stage.take():
        built = builder.build(parcel.unpack())
        if isinstance(built, Built):
            with contextlib.suppress(UnknownPurchase, UnknownMember, ReturnExceedsPurchase):
                await ledger.engine.submit(built.request)


async def whole(ledger: Ledger, file: Path, processes: int = 2) -> Summary:
    return await import_documents(
        ledger.engine, Source(file), OPTIONS, lambda *_: None, database_url=ledger.url, processes=processes
    )


async def rows_of(ledger: Ledger) -> dict[str, list[Any]]:
    """All rows by member, and the answers."""
    found: dict[str, list[Any]] = {}
    for table in TABLES:
        rows = await ledger.fetch(f"select m.member_id, to_jsonb(t)::text as row from {table} t join member m"
                                  " using (shard, account)")  # fmt: skip
        kept = []
        for member, text in rows:
            fields = msgspec.json.decode(text)
            kept.append((member, {name: value for name, value in fields.items() if name not in APART}))
        found[table] = sorted(kept, key=msgspec.json.encode)
    answers = []
    for member, body in await ledger.fetch(
        "select member_id, answer from posting join member using (shard, account)"
    ):
        answer = {} if body is None else msgspec.json.decode(body)
        answer.pop("recorded_at", None)
        answers.append((member, answer))
    found["answers"] = sorted(answers, key=msgspec.json.encode)
    budgets = await ledger.fetch("select rule, points from budget order by rule")
    return found | {"budget": [tuple(budget) for budget in budgets]}


@pytest.fixture
def small_parcels(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small file goes through several processes."""
    monkeypatch.setattr(run, "FEW", 0)
    monkeypatch.setattr(run, "PARCELS", 40)


LIMITS = flat("daily", 7, "per_member_day = 1, per_member_points = 100") + flat(
    "hello", 50, when="first_purchase = true"
)
PROGRAMS = {
    "limits, tiers and expiry": program(expiry("after", months=2), rules=BASE + LIMITS),
    "idle points": program(expiry("inactivity", months=1), rules=BASE + LIMITS),
    "a budget that runs out": program(rules=BASE + flat("few", 40, "budget_points = 4010")),
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_row_by_row_as_one_after_another(
    name: str, database_url: str, empty_database_url: str, tmp_path: Path, small_parcels: None
) -> None:
    await migrate(empty_database_url)
    file = write(tmp_path / "till.csv", documents(5))
    async with (
        open_ledger(database_url, PROGRAMS[name], *MEMBERS, at=NOW) as imported,
        open_ledger(empty_database_url, PROGRAMS[name], *MEMBERS, at=NOW) as posted,
    ):
        summary = await whole(imported, file)
        await one_by_one(posted, file)
        theirs, ours = await rows_of(posted), await rows_of(imported)
        for table, rows in theirs.items():
            assert ours[table] == rows, table
        assert len(ours["posting"]) > 500
        assert summary.created["purchases"] == 504
        again = await whole(imported, file)
        assert (again.created, again.replayed) == ({}, summary.created)
        assert again.refused == summary.refused
        assert again.examples == summary.examples
        assert await rows_of(imported) == ours


async def test_tills_go_on_with_the_same_members(
    database_url: str, tmp_path: Path, small_parcels: None
) -> None:
    """Nothing is lost or doubled, and no till is turned away."""
    file = write(tmp_path / "till.csv", documents(6))
    async with open_ledger(database_url, PROGRAMS["idle points"], *MEMBERS, at=NOW) as ledger:
        importing = asyncio.create_task(whole(ledger, file))
        sold = 0
        while not importing.done():
            await ledger.do(purchase(700, NOW, MEMBERS[sold % len(MEMBERS)]))
            sold += 1
            await asyncio.sleep(0.005)
        summary = await importing
        assert sold > 20
        assert summary.created["purchases"] == 504
        assert await ledger.value("select count(*) from posting where kind = 'purchase'") == 504 + sold


async def test_a_process_that_is_ended_ends_the_import_which_can_go_on(
    database_url: str, tmp_path: Path, small_parcels: None
) -> None:
    file = write(tmp_path / "till.csv", documents(7))
    async with open_ledger(database_url, program(), *MEMBERS, at=NOW) as ledger:

        def end_one(step: str, done: int, total: int) -> None:
            if step == "posted":
                multiprocessing.active_children()[0].kill()

        with pytest.raises(ProcessLostError):
            await import_documents(
                ledger.engine, Source(file), OPTIONS, end_one, database_url=ledger.url, processes=2
            )
        before = await ledger.value("select count(*) from posting where kind = 'purchase'")
        assert 0 < before < 504
        summary = await whole(ledger, file, processes=1)
        assert summary.replayed["purchases"] >= before
        assert summary.replayed["purchases"] + summary.created["purchases"] == 504
