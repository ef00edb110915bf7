"""Replayed under the programs that were in force, history comes to the ledger: row for row."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from loyalty.backtest import backtest
from loyalty.backtest.books import ReplayBook
from loyalty.backtest.history import Event, Family, families
from loyalty.backtest.recorded import bought
from loyalty.backtest.replay import Replay
from loyalty.backtest.sides import Side
from loyalty.backtest.worker import open_view
from loyalty.db.connect import connect_owner
from loyalty.db.sql import query
from loyalty.engine.programs import load_programs
from loyalty.ledger.rows import EntryRow, LotRow, TierRow, UseRow
from loyalty.ledger.state import Journal
from loyalty.types import Request
from tests.builders import BASE, START, open_ledger, program, purchase
from tests.integration.everything import copy_of, everything
from tests.integration.history import PROGRAMS, live
from tests.integration.reports import assert_same
from tests.vault import VAULT

TABLES: dict[str, Any] = {"entry": EntryRow, "lot": LotRow, "lot_use": UseRow, "tier_change": TierRow}
POSTING = (
    # A merge's subject is the other's member id, which a replay does not know.
    "account, number, kind::text, id, case kind when 'merge' then '' else subject end, occurred_at,"
    " recorded_at, program_version, qualifying_at, qualifying_amount"
)


class Rows:
    """Keeps every row that a replay makes."""

    def __init__(self) -> None:
        self.found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)

    def begin(self, book: ReplayBook, at: Any) -> None: ...

    def took(self, book: ReplayBook, journal: Journal, request: Request | None) -> None:
        self.found["posting"] += [
            (row._replace(subject="") if row.kind == "merge" else row)[:10] for row in journal.postings
        ]
        self.found["entry"] += journal.entries
        self.found["lot"] += journal.lots
        self.found["lot_use"] += journal.uses
        self.found["tier_change"] += journal.tiers

    def capped(self, kind: str, wanted: int, made: int) -> None:
        raise AssertionError(f"a {kind} of {wanted} became one of {made}")

    def refused(self, kind: str, code: str) -> None:
        raise AssertionError(f"a recorded {kind} was refused: {code}")


async def assert_reproduced(url: str) -> None:
    """Replays all accounts and compares every row of the ledger."""
    rows = Rows()
    connection = await open_view(url)
    try:
        programs = await load_programs(connection)
        side = Side(programs)
        replays: dict[int, Replay] = {}
        for where in await connection.fetch(query("backtest_ranges"), 0, 7):
            async for family, events, _ in families(connection, (0, where["first"], where["last"]), VAULT):
                _play(replays, side, family, events, rows)
        for table, row_type in TABLES.items():
            columns = ", ".join(
                f"{name}::text" if name in ("kind", "purpose") else name for name in row_type._fields
            )
            there = await connection.fetch(f"select {columns} from {table}")
            assert _ordered(rows.found[table]) == _ordered(tuple(row) for row in there), table
        there = await connection.fetch(f"select {POSTING} from posting")
        made = {row[:2]: row for row in rows.found["posting"]}
        for row in there:
            assert made.pop(tuple(row)[:2]) == tuple(row)
        assert not made
    finally:
        await connection.close()


async def assert_read_as_decided(url: str, candidate: str) -> None:
    """What was in force is the same beside a candidate, read from the ledger or decided again."""
    read, decided = [
        await backtest(url, candidate, vault=VAULT, processes=1, verify=verify) for verify in (False, True)
    ]
    assert 0 < read.reproduced.accounts < decided.reproduced.accounts
    assert_same(read, decided)


def _play(replays: dict[int, Replay], side: Side, family: Family, events: Any, rows: Rows) -> None:
    replay = replays.setdefault(family.owner, Replay(side, family, rows, whole=True)) if events else None
    for event in events:
        facts = None
        if isinstance(event, Event) and event.kind == "purchase":
            facts = bought(event.facts or "")
        assert replay is not None
        replay.play(event, facts)


def _ordered(rows: Iterator[tuple[Any, ...]] | list[tuple[Any, ...]]) -> list[str]:
    return sorted(repr(tuple(row)) for row in rows)


@pytest.fixture(scope="module")
def template(postgres_url: str) -> Iterator[str]:
    with everything(postgres_url) as name:
        yield name


async def test_a_ledger_in_which_everything_happened_is_reproduced(postgres_url: str, template: str) -> None:
    async with copy_of(postgres_url, template) as url:
        await assert_reproduced(url)
        report = await backtest(url, None, vault=VAULT, processes=1)
        assert report.reproduced.checked
        assert report.reproduced.different == 0
        assert report.reproduced.accounts == 8  # one member never came
        assert report.now.total == report.candidate.total
        assert report.winners == report.losers == 0
        await assert_read_as_decided(url, PROGRAMS[1])


async def test_versions_put_under_a_clock_that_was_set_back_are_reproduced(database_url: str) -> None:
    async with open_ledger(database_url, at=None) as ledger:
        await ledger.put(program())
        for factor in (2, 3):
            now = START + timedelta(days=factor)
            await ledger.move_clock(now)
            await ledger.put(program(rules=BASE.replace("points = 1", f"points = {factor}")))
            await ledger.enrol(f"member-{factor}")
            bought = await ledger.do(
                purchase(10000, at=now + timedelta(minutes=1), member=f"member-{factor}")
            )
            assert bought.points_earned == 100 * factor
        await assert_reproduced(ledger.url)


@pytest.mark.parametrize("seed", range(1, 5))
async def test_a_random_history_under_three_programs_is_reproduced(database_url: str, seed: int) -> None:
    async with open_ledger(database_url, PROGRAMS[0]) as ledger:
        shop = await live(ledger, seed, steps=150)
        kinds = {row[0] for row in await ledger.fetch("select distinct kind::text from posting")}
        assert kinds >= {
            "purchase",
            "return",
            "redemption",
            "adjustment",
            "opening",
            "expiry",
            "merge",
            "erasure",
            "claim",
        }
        assert shop.refused < shop.number
        await assert_reproduced(database_url)
        report = await backtest(database_url, None, vault=VAULT, processes=1)
        assert report.reproduced.different == 0, report.reproduced.examples
        await assert_read_as_decided(database_url, PROGRAMS[1])
        sums = await ledger.fetch("select counter::text, sum(points)::bigint from entry group by 1")
        issued = dict(tuple(row) for row in sums)["issued"]
        assert report.now.total.issued - report.now.total.clawed_back == issued


async def test_points_on_record_that_do_not_come_to_the_balance_are_named(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        for member in ("ada", "bob"):
            await ledger.do(purchase(10000, member=member))
    owner = await connect_owner(database_url)
    await owner.execute(
        "set session_replication_role = replica;"
        """ update posting set facts = replace(facts, '"points":100,', '"points":101,')"""
    )
    await owner.close()
    report = await backtest(database_url, program(), processes=1)
    assert report.reproduced.accounts == 1, "ada's is decided again, bob's is read"
    assert report.reproduced.examples == ["bob: balance 100 in the ledger, 101 recorded"]
