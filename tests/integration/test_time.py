"""Expiry and time: every policy, pending points, late arrivals, inactivity, versions by the time of the purchase."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from loyalty.engine import expire, others
from loyalty.engine.past_due import Sizes
from loyalty.errors import FutureTime, InsufficientPoints, InvalidRequest
from loyalty.types import UnlinkedReturn
from tests.builders import (
    BASE,
    START,
    adjust,
    day,
    expiry,
    goods_back,
    hold,
    line,
    open_ledger,
    program,
    purchase,
    redeem,
)
from tests.vault import VAULT

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "policy, at, end",
    [
        (expiry("never"), day(2026, 1, 31, 12), None),
        (expiry(days=10), day(2026, 1, 31, 12), day(2026, 2, 10, 12)),
        (expiry(months=1), day(2026, 1, 31, 12), day(2026, 2, 28, 12)),
        (expiry(years=1), day(2024, 2, 29, 12), day(2025, 2, 28, 12)),
        (expiry(months=1, round_to="day"), day(2026, 1, 31, 12), day(2026, 3, 1)),
        (expiry(months=1, round_to="month"), day(2026, 1, 31, 12), day(2026, 3, 1)),
        (expiry(months=1, round_to="quarter"), day(2026, 1, 31, 12), day(2026, 4, 1)),
        (expiry(months=1, round_to="year"), day(2026, 1, 31, 12), day(2027, 1, 1)),
        (expiry("fixed", month_day="12-31", min_days=90), day(2026, 1, 31, 12), day(2027, 1, 1)),
        (expiry("fixed", month_day="03-31", min_days=90), day(2026, 1, 31, 12), day(2027, 4, 1)),
        (expiry("inactivity", months=1), day(2026, 1, 31, 12), day(2026, 2, 28, 12)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_a_lot_ends_as_the_policy_says_and_not_an_instant_later(
    database_url: str, policy: str, at: datetime, end: datetime | None
) -> None:
    async with open_ledger(database_url, program(policy), "ada", at=at) as ledger:
        await ledger.do(purchase(1000, at))
        assert await ledger.lots() == [(10, end)]
        if end is not None:
            await ledger.move_clock(end - timedelta(minutes=1))
            assert await ledger.available() == 10
            await ledger.move_clock(end)
            await ledger.refused(redeem(1), InsufficientPoints)
            (expired,) = await ledger.fetch("select points, occurred_at from entry where kind = 'expire'")
            assert tuple(expired) == (-10, end)


async def test_pending_points_are_spendable_after_local_days_and_live_from_then(database_url: str) -> None:
    async with open_ledger(database_url, program("pending_days = 14\n" + expiry(days=30)), "ada") as ledger:
        receipt = await ledger.do(purchase(1000))
        assert (receipt.points_earned, receipt.points_pending) == (10, 10)
        (lot,) = receipt.lots
        assert datetime.fromisoformat(lot.spendable_from) == START + 14 * DAY
        assert datetime.fromisoformat(lot.expires_at) == START + 44 * DAY
        late = await ledger.do(purchase(1000, START - 14 * DAY))
        assert late.points_pending == 0
        assert await ledger.points() == (10, 0, 10, 0)


async def test_a_lot_dead_on_arrival_is_granted_and_expired_in_one_go(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(days=10)), "ada") as ledger:
        receipt = await ledger.do(purchase(1000, START - 10 * DAY))
        assert (receipt.points_earned, receipt.points_pending, receipt.balance.balance) == (10, 0, 0)
        assert await ledger.entries() == [("earn", 10), ("expire", -10)]
        assert await ledger.value("select count(*) from posting") == 1
        assert (await ledger.standing()).qualifying.spend_amount == 1000
        await ledger.do(purchase(1000, START - 10 * DAY + timedelta(minutes=5)))
        assert await ledger.available() == 10


async def test_late_arrivals_live_for_the_grace(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(days=10) + "\nlate_grace_days = 3"), "ada") as ledger:
        await ledger.do(purchase(1000, START - 20 * DAY))
        ((points, end),) = await ledger.lots()
        assert points == 10
        assert end is not None
        assert START + 3 * DAY <= end < START + 3 * DAY + timedelta(minutes=1)
        await ledger.do(purchase(500, START - 9 * DAY))
        assert (5, START + DAY) in await ledger.lots()  # what lives a day is given no more


async def test_debt_is_repaid_by_points_that_are_dead_on_arrival(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(days=10)), "ada") as ledger:
        await ledger.do(UnlinkedReturn("u", "ada", START, (line(400),)))
        assert (await ledger.do(purchase(1000, START - 20 * DAY))).debt_repaid == 4
        assert await ledger.points() == (0, 0, 0, 0)
        assert await ledger.entries() == [("clawback", -4), ("earn", 10), ("expire", -6)]


async def test_idle_points_given_before_any_activity_count_from_when_they_were_given(
    database_url: str,
) -> None:
    """They had no end until the account's first activity."""
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada", "bob") as ledger:
        first = datetime.fromisoformat((await ledger.do(adjust(40))).recorded_at)
        await ledger.move_clock(START + 5 * DAY)
        second = datetime.fromisoformat((await ledger.do(adjust(30))).recorded_at)
        ends = [(40, first + 20 * DAY), (30, second + 20 * DAY)]
        assert await ledger.lots() == ends
        await ledger.engine.merge("ada", "bob")
        assert await ledger.lots("bob") == ends, "lots keep their lives"
        await ledger.move_clock(first + 20 * DAY)
        assert await ledger.lots("bob") == ends[1:]
        past = await ledger.balance("bob", as_of=first + 19 * DAY)
        assert [(lot.points, lot.expires_at) for lot in past.lots] == ends
        assert (await ledger.engine.expire())["points_expired"] == 40
        await ledger.do(redeem(10, "bob"))
        now = await ledger.engine.now()
        ((points, end),) = await ledger.lots("bob")
        assert points == 20
        assert end is not None
        assert now < end - 20 * DAY + timedelta(minutes=1) < now + timedelta(minutes=1)


async def test_a_first_activity_long_ago_ends_idle_points_before_what_follows_it(database_url: str) -> None:
    """Whether the two are posted together or apart."""
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada", "bob") as ledger:
        late = START - 50 * DAY
        await ledger.do(adjust(40, "ada"))
        await ledger.do(adjust(40, "bob"))
        together = await ledger.all(purchase(10000, late), redeem(1))
        await ledger.do(purchase(10000, late, "bob"))
        apart = await ledger.refused(redeem(1, "bob"), InsufficientPoints)
        assert (together[1].code, together[1].facts) == (apart.code, apart.facts)


async def test_any_activity_keeps_idle_points_alive_and_returns_and_releases_do_not(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(expiry("inactivity", months=1)), "ada") as ledger:

        async def end() -> Any:
            return {end.date() for _, end in await ledger.lots() if end}

        await ledger.do(purchase(10000, START, id="p"))
        later = await ledger.move_clock(day(2026, 3, 20))
        await ledger.do(
            goods_back(
                "p",
                later,
                id="t1",
            )
        )  # all
        await ledger.do(purchase(10000, START, id="q"))
        assert await end() == {day(2026, 4, 2, 12).date()}
        await ledger.do(redeem(1))
        assert await end() == {day(2026, 4, 20).date()}
        await ledger.move_clock(day(2026, 4, 10))
        await ledger.do(hold(1, seconds=3600))
        assert await end() == {day(2026, 5, 10).date()}
        await ledger.move_clock(day(2026, 5, 20))
        assert await ledger.points() == (0, 0, 0, 0)
        # What was due when a late purchase is recorded stays dead; its own points live from its own time.
        await ledger.do(purchase(700, day(2026, 5, 1)))
        assert await ledger.points() == (7, 0, 0, 0)


async def test_a_purchase_is_judged_by_the_version_in_force_when_it_occurred(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(100))
        first = await ledger.put(program(rules=BASE.replace("points = 1", "points = 3")), START + 2 * DAY)
        second = await ledger.put(program(rules=BASE.replace("points = 1", "points = 5")), START + 4 * DAY)
        await ledger.move_clock(START + 6 * DAY)
        for at, points in ((START + DAY, 10), (START + 2 * DAY, 30), (START + 5 * DAY, 50)):
            receipt = await ledger.do(purchase(1000, at))
            assert receipt.points_earned == points
            assert receipt.program_version == {10: 2, 30: first, 50: second}[points]


async def test_a_version_is_never_in_force_before_now(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(100))
        with pytest.raises(InvalidRequest):
            await ledger.put(program(), START - DAY)


async def test_a_new_version_moves_no_expiry_of_points_that_are_there(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(days=10)), "ada") as ledger:
        await ledger.do(purchase(100))
        await ledger.put(program(expiry(days=99)))
        assert await ledger.lots() == [(1, START + 10 * DAY)]


async def test_an_engine_that_missed_a_new_version_sees_it_at_the_next_request(database_url: str) -> None:
    from loyalty.engine.engine import Engine

    async with open_ledger(database_url, program(), "ada") as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=1)
        try:
            await ledger.do(purchase(100))
            await other.put_program(program(rules=BASE.replace("points = 1", "points = 3")), "toml")
            at = await ledger.move_clock(START + DAY)
            assert (await ledger.do(purchase(100, at))).points_earned == 3
        finally:
            await other.close()


async def test_the_future_is_refused_beyond_five_minutes(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(100, START + timedelta(minutes=4), id="p"))
        for request in (
            purchase(100, START + timedelta(minutes=6)),
            goods_back("p", START + timedelta(minutes=6)),
            UnlinkedReturn("u", "ada", START + timedelta(minutes=6), (line(100),)),
        ):
            await ledger.refused(request, FutureTime)


async def test_a_purchase_before_the_enrolment_is_judged_like_any_other(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        assert (await ledger.do(purchase(1000, datetime(2020, 1, 1, tzinfo=UTC)))).points_earned == 10


async def test_local_days_decide_the_rules_of_a_day(database_url: str) -> None:
    rules = BASE + '[[rules]]\nid = "x2"\nkind = "multiplier"\nfactor = 2\nwhen = { day_of_month = [8] }\n'
    async with open_ledger(database_url, program(rules=rules), "ada", at=day(2026, 3, 10)) as ledger:
        midnight = day(2026, 3, 8)
        second = timedelta(seconds=1)
        for at, points in (
            (midnight - second, 10),
            (midnight, 20),
            (midnight + DAY - second, 20),
            (midnight + DAY, 10),
        ):
            assert (await ledger.do(purchase(1000, at))).points_earned == points


async def test_the_expiry_batch_posts_once_and_a_dry_run_nothing(database_url: str) -> None:
    """A dry run persisted (ledger#1684)."""
    members = [f"m{at}" for at in range(5)]
    async with open_ledger(database_url, program(expiry(days=10)), *members) as ledger:
        await ledger.all(*(purchase(1000, START + timedelta(seconds=at), m) for at, m in enumerate(members)))
        await ledger.do(hold(5, "m0", seconds=60))
        await ledger.move_clock(START + 11 * DAY)
        early = await ledger.engine.expire(through=START + DAY)
        assert (early["holds_timed_out"], early["points_expired"]) == (1, 0)
        dry = await ledger.engine.expire(dry_run=True)
        assert await ledger.value("select count(*) from entry where kind = 'expire'") == 0
        assert await ledger.engine.expire() == dry
        assert dry["points_expired"] == 50
        assert (await ledger.engine.expire())["accounts"] == 0


async def test_the_expiry_ends_on_a_single_connection_though_its_progress_is_written_down(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its two lanes kept a connection each, and the job's row wanted a third."""
    members = [f"m{at}" for at in range(8)]
    monkeypatch.setattr(expire, "SIZES", Sizes(alone=2, beside=1, at_once=2))
    monkeypatch.setattr(others, "LOOK_SECONDS", 0.0)
    async with open_ledger(database_url, program(expiry(days=10)), *members, pool_size=1) as ledger:
        await ledger.all(*(purchase(1000, member=member) for member in members))
        await ledger.move_clock(11 * DAY)
        told: list[float] = []

        async def progress(share: float, _counts: dict[str, int]) -> None:
            told.append(share)
            await ledger.value("select 1")

        async with asyncio.timeout(4):
            counts = await ledger.engine.expire(progress=progress)
        assert (counts["accounts"], counts["points_expired"]) == (8, 80)
        assert told == [0.25, 0.5, 0.75, 1.0]


async def test_beside_others_that_write_the_expiry_goes_in_small_chunks(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [f"m{at}" for at in range(12)]
    sizes: list[int] = []
    chunk = expire.expire_chunk

    async def watched(engine: Any, connection: Any, shard: int, accounts: list[int], *more: Any) -> Any:
        sizes.append(len(accounts))
        return await chunk(engine, connection, shard, accounts, *more)

    monkeypatch.setattr(expire, "SIZES", Sizes(alone=4, beside=2, at_once=1))
    monkeypatch.setattr(expire, "expire_chunk", watched)
    monkeypatch.setattr(others, "LOOK_SECONDS", 0.0)
    async with open_ledger(database_url, program(expiry(days=10)), *members, "till") as ledger:
        till = await asyncpg.connect(database_url)
        for there_are_tills in (False, True):
            now = await ledger.engine.now()
            await ledger.all(*(purchase(1000, now, member) for member in members))
            await ledger.move_clock(11 * DAY)
            async with till.transaction():
                if there_are_tills:
                    await till.execute("select from loyalty.account where account = 13 for no key update")
                assert (await ledger.engine.expire())["accounts"] == 12
        await till.close()
        assert sizes == [4, 4, 4, 4, 2, 2, 2, 2], "a first chunk shows that somebody writes"
        sizes.clear()
        now = await ledger.engine.now()
        await ledger.all(*(purchase(1000, now, member) for member in members))
        await ledger.move_clock(11 * DAY)
        monkeypatch.setattr(others, "LOOK_SECONDS", 60.0)
        await ledger.engine.expire()
        assert sizes == [2] * 6, "until it has looked for long enough, somebody may"


async def test_points_added_by_hand_live_by_the_program_or_as_told(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(days=10)), "ada") as ledger:
        await ledger.do(adjust(5, expires_at=START + DAY))
        await ledger.do(adjust(7))
        lots = await ledger.lots()
        assert lots[0] == (5, START + DAY)
        assert lots[1][1] is not None
        assert timedelta() <= lots[1][1] - START - 10 * DAY < timedelta(minutes=1)
        await ledger.refused(adjust(5, expires_at=START - DAY), InvalidRequest)
        await ledger.refused(adjust(0), InvalidRequest)
        await ledger.refused(adjust(-13), InsufficientPoints)
        await ledger.do(adjust(-12))


async def test_idle_points_end_by_a_version_that_came_between_a_purchase_and_its_time(
    database_url: str,
) -> None:
    """A till's clock was four minutes ahead: the new version was in force by the time of the purchase, and what was due
    when was still told by the old one."""
    async with open_ledger(database_url, program(expiry("inactivity", months=12)), "ada") as ledger:
        receipt = await ledger.do(purchase(10000, await ledger.engine.now() + timedelta(minutes=4)))
        await ledger.put(program(expiry("inactivity", days=5)))
        await ledger.assert_sound()
        assert receipt.points_earned == 100
        await ledger.move_clock(timedelta(days=6))
        assert await ledger.points() == (0, 0, 0, 0)
        await ledger.refused(redeem(10), InsufficientPoints)
        assert await ledger.entries() == [("earn", 100), ("expire", -100)]
