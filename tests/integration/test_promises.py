"""Promises 1 to 6 of the ledger, each with a test named for it: what the rows are and how points move."""

from datetime import timedelta

import asyncpg
import pytest

from loyalty.db.connect import connect_owner
from loyalty.errors import HoldEnded, InsufficientPoints
from loyalty.types import Capture, Release
from tests.builders import (
    START,
    adjust,
    day,
    expiry,
    goods_back,
    hold,
    open_ledger,
    program,
    purchase,
    redeem,
)

IMMUTABLE = ("posting", "entry", "lot", "lot_use", "tier_change")
LATER = timedelta(hours=1)


@pytest.mark.parametrize("table", [*IMMUTABLE, "program_version"])
async def test_promise_1_rows_are_append_only_for_the_application_and_the_owner(
    database_url: str, table: str
) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(600000))  # promotes: every table has a row
        await ledger.do(redeem(10))
        assert await ledger.value(f"select count(*) from {table}") > 0
        changes = [
            f"delete from {table}",
            f"update {table} set recorded_at = recorded_at",
            f"truncate {table}",
        ]
        owner = await connect_owner(database_url)
        try:
            for change in changes:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await ledger.fetch(change)
                with pytest.raises(asyncpg.PostgresError) as refused:
                    await owner.execute(change)
                assert refused.value.sqlstate == "LY002", change
        finally:
            await owner.close()


@pytest.mark.parametrize("table", [*IMMUTABLE, "open_lot", "open_hold", "counter", "budget"])
async def test_promise_1_the_application_writes_through_the_functions_alone(
    database_url: str, table: str
) -> None:
    async with open_ledger(database_url, program()) as ledger:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ledger.fetch(f"insert into {table} select * from {table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ledger.fetch("update account set balance = balance + 1")


async def test_promise_2_balance_is_entries_is_available_held_pending_less_debt(database_url: str) -> None:
    async with open_ledger(database_url, program("pending_days = 2"), "ada", "bob") as ledger:
        await ledger.do(purchase(10000, START - timedelta(days=10), id="old"))
        await ledger.do(purchase(5000, START))
        await ledger.do(hold(30))
        assert await ledger.points() == (70, 30, 50, 0)
        await ledger.do(redeem(60))
        await ledger.do(goods_back("old", START))
        assert await ledger.points() == (0, 30, 0, 40)
        by_counter = await ledger.fetch(
            "select counter::text, sum(points)::int as points from entry group by 1"
        )
        assert {row["counter"]: row["points"] for row in by_counter} == {"issued": 50, "redeemed": -60}
        assert await ledger.value("select sum(balance)::int from account") == -10


async def test_promise_3_entries_are_numbered_and_follow_one_another(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        for member in ("ada", "bob", "ada", "ada"):
            await ledger.do(purchase(1000, member=member))
        await ledger.do(redeem(5))
        found = await ledger.engine.entries("ada")
        assert [(entry.seq, entry.balance_after) for entry in found.entries] == [
            (4, 25),
            (3, 30),
            (2, 20),
            (1, 10),
        ]


async def test_promise_4_a_lot_is_never_used_before_spendable_after_expiry_or_beyond_its_points(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program("pending_days = 2\n" + expiry(days=10)), "ada") as ledger:
        bought = START
        await ledger.do(purchase(1000, bought))
        assert (await ledger.refused(redeem(1), InsufficientPoints)).facts == {"available": 0, "missing": 1}
        await ledger.move_clock(bought + timedelta(days=2) - timedelta(seconds=60))
        await ledger.refused(redeem(1), InsufficientPoints)
        await ledger.move_clock(bought + timedelta(days=2))
        await ledger.do(redeem(4))
        await ledger.refused(redeem(7), InsufficientPoints)
        await ledger.move_clock(bought + timedelta(days=12))
        await ledger.refused(redeem(1), InsufficientPoints)
        assert await ledger.entries() == [("earn", 10), ("redeem", -4), ("expire", -6)]
        await ledger.engine.expire()
        assert len(await ledger.entries()) == 3


@pytest.mark.parametrize("doctored", ["expired", "pending", "beyond", "unknown", "minted", "gap"])
async def test_promise_4_the_database_refuses_by_itself_what_a_defect_would_decide(
    database_url: str, doctored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A doctored book stands for a defect: no decision of Python may create a point."""
    from loyalty.ledger.book import Book

    take, head_row = Book._take, Book.head_row

    def wrong(self: Book, points: int, purpose: str) -> object:
        lot = next(iter(self.lots.values()))
        if doctored == "beyond":
            lot.remaining += 1000
        if doctored == "unknown":
            lot.lot += 1
            self.lots = {lot.lot: lot}
        return [self._use(lot, points, purpose)]

    async with open_ledger(database_url, program("pending_days = 2\n" + expiry(days=10)), "ada") as ledger:
        await ledger.do(purchase(1000, START))
        before = await ledger.requests()
        if doctored not in ("pending", "expired"):
            await ledger.move_clock(START + timedelta(days=3))
        if doctored == "expired":
            await ledger.move_clock(START + timedelta(days=13))
            monkeypatch.setattr("loyalty.engine.batch.post_due", lambda *_: None)
        monkeypatch.setattr(Book, "available", property(lambda _: 10**6))
        if doctored in ("expired", "pending", "beyond", "unknown"):
            monkeypatch.setattr(Book, "_take", wrong)
        elif doctored == "minted":
            monkeypatch.setattr(Book, "_take", lambda *_: [])
        else:
            monkeypatch.setattr(Book, "_take", take)
            monkeypatch.setattr(
                Book, "head_row", lambda self: head_row(self)._replace(number=self.head.number + 1)
            )
        (outcome,) = await ledger.all(redeem(11 if doctored == "beyond" else 4))
        assert outcome.code == "internal"
        monkeypatch.undo()
        assert await ledger.requests() == before


async def test_promise_5_soonest_to_expire_first_then_earliest_earned(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(days=30)), "ada") as ledger:
        await ledger.do(adjust(10, expires_at=START + timedelta(days=50)))
        await ledger.do(adjust(20, expires_at=START + timedelta(days=40)))
        await ledger.do(purchase(3000, START))
        await ledger.do(purchase(4000, START - timedelta(days=1)))
        await ledger.do(redeem(65))
        assert await ledger.lots() == [
            (5, START + timedelta(days=30)),
            (20, START + timedelta(days=40)),
            (10, START + timedelta(days=50)),
        ]


async def test_promise_5_of_equal_expiry_the_earliest_earned_goes_first(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(months=1, round_to="month")), "ada") as ledger:
        await ledger.do(purchase(1000, day(2026, 3, 1, 13), id="second"))
        await ledger.do(purchase(2000, day(2026, 3, 1, 12), id="first"))
        await ledger.do(purchase(3000, day(2026, 3, 1, 14), id="third"))
        await ledger.do(redeem(25))
        left = await ledger.fetch("select purchase_id, remaining from open_lot order by lot")
        assert [tuple(row) for row in left] == [("second", 5), ("third", 30)]


async def test_promise_6_held_points_cannot_be_spent_elsewhere_and_a_hold_ends_once(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000, START))
        await ledger.do(hold(80, id="h"))
        refused = await ledger.refused(redeem(21), InsufficientPoints)
        assert refused.facts == {"available": 20, "missing": 1}
        await ledger.refused(hold(21), InsufficientPoints)
        await ledger.refused(adjust(-21), InsufficientPoints)
        await ledger.do(Capture("h"))
        await ledger.refused(Release("h"), HoldEnded)
        assert await ledger.points() == (20, 0, 0, 0)
