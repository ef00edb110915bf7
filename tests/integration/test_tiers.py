"""Tiers through the engine: promotion, verdicts of each elapsed validity, late purchases, and returns of the ground."""

from datetime import timedelta

import pytest

from loyalty.types import PurchaseRedemption, UnlinkedReturn
from tests.builders import (
    BASE,
    START,
    TIERS,
    Ledger,
    adjust,
    back,
    day,
    goods_back,
    line,
    open_ledger,
    program,
    purchase,
)

DOUBLE = (
    BASE + '[[rules]]\nid = "x2"\nkind = "multiplier"\nfactor = 2\nwhen = { tier = ["silver", "gold"] }\n'
)


async def history(ledger: Ledger, member: str = "ada") -> list[tuple[str, str]]:
    found = await ledger.standing(member)
    return [(period.tier, period.reason) for period in found.history]


async def test_a_purchase_is_judged_by_the_tier_before_it(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=DOUBLE), "ada") as ledger:
        first = await ledger.do(purchase(500000))
        assert (first.points_earned, first.tier.tier, first.tier.previous) == (5000, "silver", "ordinary")
        second = await ledger.do(purchase(1000))
        assert (second.points_earned, second.tier.tier) == (20, "silver")
        assert not hasattr(second.tier, "previous")


async def test_purchases_recorded_later_that_occurred_since_get_the_new_tier(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=DOUBLE), "ada") as ledger:
        await ledger.do(purchase(500000, START - timedelta(days=5)))
        before = await ledger.do(purchase(1000, START - timedelta(days=6)))
        after = await ledger.do(purchase(1000, START - timedelta(days=4)))
        assert (before.points_earned, after.points_earned) == (10, 20)


async def test_since_is_when_the_metric_reached_the_threshold_whenever_it_is_learned(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(rules=DOUBLE), "ada", "bob") as ledger:
        days = {at: purchase(200000, START - timedelta(days=at), id=f"a{at}") for at in (9, 6, 3)}
        for at in (9, 6, 3):
            await ledger.do(days[at])
        for at in (3, 9, 6):
            await ledger.do(purchase(200000, START - timedelta(days=at), "bob", f"b{at}"))
        for member in ("ada", "bob"):
            standing = await ledger.standing(member)
            assert (standing.tier, standing.since) == ("silver", START - timedelta(days=3))
        # A late purchase moves it, and re-decides nothing about others.
        await ledger.do(purchase(200000, START - timedelta(days=8)))
        assert (await ledger.standing()).since == START - timedelta(days=6)
        assert (await ledger.engine.purchase("a3")).points_earned == 2000


async def test_several_purchases_of_one_upload_promote_in_turn(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=DOUBLE), "ada") as ledger:
        outcomes = await ledger.all(*(purchase(300000, START) for _ in range(8)))
        assert [outcome.points_earned for outcome in outcomes] == [3000, 3000, *[6000] * 6]
        assert await ledger.tier() == "gold"


async def test_each_elapsed_validity_is_decided_in_turn_without_any_batch(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(2000000, day(2026, 3, 1, 12)))
        standing = await ledger.standing()
        assert (standing.tier, standing.valid_until) == ("gold", day(2027, 3, 2))
        await ledger.move_clock(day(2027, 3, 1, 23))
        assert await ledger.tier() == "gold"
        await ledger.move_clock(day(2027, 3, 2))
        assert await ledger.tier() == "silver"  # read, not posted
        await ledger.move_clock(day(2028, 3, 2))
        receipt = await ledger.do(purchase(1000, day(2028, 3, 2)))
        assert receipt.tier.tier == "ordinary"
        assert await history(ledger) == [
            ("gold", "promotion"),  # by a purchase before the enrolment
            ("silver", "review"),
            ("ordinary", "review"),
        ]
        verdicts = await ledger.fetch("select at, tier from tier_change where reason = 'review' order by at")
        assert [tuple(row) for row in verdicts] == [
            (day(2027, 3, 2), "silver"),
            (day(2028, 3, 2), "ordinary"),
        ]


@pytest.mark.parametrize("late", [False, True])
async def test_the_review_posts_what_a_write_would_have_found(database_url: str, late: bool) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        for member in ("ada", "bob"):
            await ledger.do(purchase(2000000, day(2026, 3, 1, 12), member))
        await ledger.move_clock(day(2029, 3, 2) if late else day(2027, 3, 2))
        dry = await ledger.engine.review_tiers(dry_run=True)
        assert dry["verdicts"] == (4 if late else 2)
        assert await ledger.value("select count(*) from tier_change") == 2  # a dry run persists nothing
        assert await ledger.engine.review_tiers() == dry
        assert (await ledger.engine.review_tiers())["verdicts"] == 0
        assert await ledger.tier() == ("ordinary" if late else "silver")


async def test_the_window_that_ends_at_valid_until_renews(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(500000, day(2026, 3, 1, 12)))
        await ledger.move_clock(day(2027, 2, 1))
        await ledger.do(purchase(500000, day(2027, 2, 1)))
        await ledger.move_clock(day(2027, 3, 2))
        standing = await ledger.standing()
        assert (standing.tier, standing.since) == ("silver", day(2026, 3, 1, 12))
        assert standing.valid_until == day(2028, 3, 2)


async def test_grace_delays_the_verdict_and_moves_neither_validity_nor_window(database_url: str) -> None:
    async with open_ledger(database_url, program(policy="grace_days = 30"), "ada") as ledger:
        await ledger.do(purchase(500000, day(2026, 3, 1, 12)))
        await ledger.move_clock(day(2027, 3, 31))
        assert await ledger.tier() == "silver"
        await ledger.do(purchase(400000, day(2027, 3, 10)))  # after the window
        await ledger.move_clock(day(2027, 4, 1))
        assert await ledger.tier() == "ordinary"


async def test_a_late_purchase_of_a_time_before_the_tier_that_its_member_holds(database_url: str) -> None:
    """A version that lacks the tier is asked whether it promotes: it ranks the tier as the newest does."""
    before = program(tiers=TIERS.partition('[[tiers]]\nid = "gold"')[0])
    async with open_ledger(database_url, before, "ada", "bob") as ledger:
        then = await ledger.move_clock(timedelta(days=10))
        await ledger.put(program())
        now = await ledger.move_clock(timedelta(minutes=1))
        await ledger.do(purchase(2500000, now))
        assert await ledger.tier() == "gold"
        await ledger.all(purchase(1000, START), purchase(900000, then), purchase(1000, now))
        assert await ledger.tier() == "gold"
        await ledger.do(purchase(2500000, START, "bob"))
        assert await ledger.tier("bob") == "silver", "the version of then had nothing above"
        old = (await ledger.engine.programs()).numbered(2)
        assert [tier.id for tier in old.as_put().tiers] == ["ordinary", "silver"], "as it was put"
        await ledger.assert_sound()


async def test_a_tier_reached_and_over_in_the_past_is_judged_by_the_version_of_its_end(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(1000))
        await ledger.move_clock(START + timedelta(days=800))
        await ledger.put(program(policy='downgrade = "never"'))
        await ledger.do(purchase(500000, START + timedelta(days=1)))  # it arrives two years late
        assert (await history(ledger))[-2:] == [("silver", "promotion"), ("ordinary", "review")]


async def test_points_never_count_as_spend(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(1000000))
        paid = await ledger.do(purchase(500000, pay=PurchaseRedemption("r", points=1)))
        assert paid.tier.tier == "ordinary"
        assert (await ledger.standing()).qualifying.spend_amount == 499999


async def test_a_full_return_takes_the_metric_and_the_visit_with_it(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(499999, START - timedelta(days=1), id="p"))
        await ledger.do(goods_back("p"))
        standing = await ledger.standing()
        assert (standing.qualifying.spend_amount, standing.qualifying.visits) == (0, 0)
        assert (await ledger.do(purchase(1000))).tier.tier == "ordinary"


@pytest.mark.parametrize("on_return", ["review", "immediate"])
async def test_a_return_of_the_ground_lowers_at_the_verdict_or_at_once(
    database_url: str, on_return: str
) -> None:
    async with open_ledger(database_url, program(policy=f'on_return = "{on_return}"'), "ada") as ledger:
        await ledger.do(purchase(500000, START - timedelta(days=3), id="p"))
        receipt = await ledger.do(goods_back("p", START, back(amount=100)))
        assert receipt.tier.tier == ("silver" if on_return == "review" else "ordinary")
        assert getattr(receipt.tier, "previous", None) == (None if on_return == "review" else "silver")
        await ledger.move_clock(day(2027, 2, 28))
        assert await ledger.tier() == "ordinary"


async def test_goods_back_without_a_purchase_leave_the_window_before_what_they_were_taken_from(
    database_url: str,
) -> None:
    """The sum of a window can rise as it moves on: then the next purchase promotes."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(UnlinkedReturn("u", "ada", day(2026, 1, 1, 12), (line(300000),)))
        await ledger.do(purchase(400000, day(2026, 1, 10)))
        await ledger.do(purchase(150000, day(2026, 1, 20)))
        assert await ledger.tier() == "ordinary"
        await ledger.move_clock(day(2027, 1, 5))
        assert (await ledger.do(purchase(10000, day(2027, 1, 5)))).tier.tier == "silver"


async def test_visits_are_local_days_with_a_base_above_zero(database_url: str) -> None:
    tiers = '[[tiers]]\nid = "one"\n[[tiers]]\nid = "two"\nqualify = { visits = 3 }\n'
    async with open_ledger(database_url, program(tiers=tiers), "ada") as ledger:
        for at in (day(2026, 2, 1, 1), day(2026, 2, 1, 23), day(2026, 2, 2)):
            await ledger.do(purchase(100, at))
        await ledger.do(purchase(0, day(2026, 2, 3)))
        assert (await ledger.standing()).qualifying.visits == 2
        assert (await ledger.do(purchase(1, day(2026, 2, 4)))).tier.tier == "two"
