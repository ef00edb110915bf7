"""Defects that the simulation found, each in the smallest form that showed it."""

from datetime import datetime, timedelta

import pytest

from loyalty.db.connect import connect_owner
from loyalty.errors import IdConflict, InsufficientPoints, InvalidRequest
from loyalty.types import Capture, PurchaseRedemption, Reversal, UnlinkedReturn
from tests.builders import (
    BASE,
    START,
    adjust,
    back,
    expiry,
    goods_back,
    hold,
    line,
    open_ledger,
    program,
    purchase,
    redeem,
)


async def test_an_unlinked_return_takes_points_in_the_order_of_spending(database_url: str) -> None:
    """Adjusted points have no purchase, as the return has none: they were taken for the return's own, and last."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.do(adjust(60, expires_at=START + timedelta(days=30)))
        await ledger.do(UnlinkedReturn("t", "ada", START, (line(5000),)))
        assert await ledger.lots() == [(10, START + timedelta(days=30)), (100, None)]


async def test_idle_points_dead_on_arrival_show_their_end(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada") as ledger:
        receipt = await ledger.do(purchase(10000, START - timedelta(days=50)))
        assert (receipt.balance.balance, len(receipt.lots)) == (0, 1)
        assert receipt.lots[0].expires_at == "2026-01-31T04:00:00Z"


async def test_a_reversal_of_what_paid_for_a_purchase_gives_each_lot_back_what_was_used_of_it(
    database_url: str,
) -> None:
    """The redemption was found twice, by its id and by its purchase's, and its lots counted twice."""
    in_june = START + timedelta(days=100)
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.do(adjust(40, expires_at=in_june))
        await ledger.do(purchase(10000, pay=PurchaseRedemption("x", points=60), id="p"))
        await ledger.do(Reversal("x", 30, "v"))
        assert await ledger.lots() == [(10, in_june), (100, None), (99, None)]


async def test_adjusted_points_are_not_pending_and_start_their_life_at_once(database_url: str) -> None:
    rules = "pending_days = 14\n" + expiry("after", days=30)
    async with open_ledger(database_url, program(rules), "ada") as ledger:
        answer = await ledger.do(adjust(40))
        ends_at = datetime.fromisoformat(answer.recorded_at) + timedelta(days=30)
        assert await ledger.lots() == [(40, ends_at)]


async def test_points_that_would_be_dead_at_once_are_not_added(database_url: str) -> None:
    """Idle points of an account whose last activity is long ago: the receipt showed them, and they were gone."""
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.move_clock(timedelta(days=40))
        await ledger.refused(adjust(40), InvalidRequest)
        await ledger.do(adjust(40, expires_at=START + timedelta(days=90)))


async def test_a_tier_reached_in_the_past_and_over_since_is_not_shown_as_held(database_url: str) -> None:
    """A late purchase promoted from a day whose validity had elapsed: the receipt told what the next look denied."""
    policy = "window = { kind = 'rolling', months = 12 }\nvalidity_months = 1"
    async with open_ledger(database_url, program(policy=policy), "ada") as ledger:
        await ledger.do(purchase(100000, START))
        receipt = await ledger.do(purchase(500000, START - timedelta(days=400)))
        assert receipt.tier.tier == await ledger.tier() == "ordinary"
        receipt = await ledger.do(purchase(400000, START - timedelta(days=200)))
        assert receipt.tier.tier == await ledger.tier() == "silver", "the purchase of today reaches it anew"
        assert (await ledger.standing()).since == START


async def test_idle_points_that_a_first_activity_long_ago_ends_are_due(database_url: str) -> None:
    """The bound of what is due did not know of them, as a purchase does not load an account's lots."""
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada") as ledger:
        await ledger.do(adjust(40))
        await ledger.do(purchase(10000, START - timedelta(days=50)))
        assert (await ledger.do(purchase(0))).balance.balance == 0
        assert await ledger.entries() == [("adjust", 40), ("earn", 100), ("expire", -100), ("expire", -40)]


async def test_a_return_gives_back_use_of_limits_and_never_takes_any(database_url: str) -> None:
    """What is left of the basket let another rule of the group win; its use was given back though never charged."""
    rules = """
[[rules]]
id = "big"
kind = "flat"
points = 50
when = { min_amount = 5000 }
group = "g"
[[rules]]
id = "once"
kind = "flat"
points = 10
group = "g"
limit = { per_member = 1, budget_points = 15 }
"""
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        await ledger.do(purchase([line(4000), line(2000)], id="p"))
        await ledger.do(purchase(100))
        await ledger.do(goods_back("p", START, back(1)))
        await ledger.do(goods_back("p", START, back(2)))
        assert (await ledger.do(purchase(100))).points_earned == 0, "once was used already"
        assert await ledger.value("select points::int from budget where rule = 'once'") == 10


async def test_late_arrivals_have_their_grace_where_points_die_with_inactivity(database_url: str) -> None:
    rules = "late_grace_days = 7\n" + expiry("inactivity", days=20)
    async with open_ledger(database_url, program(rules), "ada") as ledger:
        receipt = await ledger.do(purchase(10000, START - timedelta(days=50)))
        recorded_at = datetime.fromisoformat(receipt.recorded_at)
        assert await ledger.lots() == [(100, recorded_at + timedelta(days=7))]


async def test_given_back_is_what_was_used_last_also_where_idle_and_dated_points_meet(
    database_url: str,
) -> None:
    in_june = START + timedelta(days=100)
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada") as ledger:
        await ledger.do(adjust(100, expires_at=in_june))
        await ledger.do(purchase(10000))
        await ledger.do(hold(150, id="h"))  # the idle points die sooner: 100 of them, then 50 of the others
        await ledger.do(Capture("h", 100))
        assert await ledger.lots() == [(100, in_june)]


async def test_a_hold_takes_the_points_that_a_redemption_would(database_url: str) -> None:
    """It counted as an activity first: idle points, which were the next to die, lived longer and were kept."""
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada") as ledger:
        await ledger.do(adjust(100, expires_at=START + timedelta(days=30)))
        await ledger.do(purchase(10000))
        await ledger.move_clock(timedelta(days=15))
        await ledger.do(hold(60))
        assert [points for points, _ in await ledger.lots()] == [100, 40], "the idle ones had five days left"


async def test_the_past_keeps_a_lot_beside_what_a_hold_that_ended_gave_back(database_url: str) -> None:
    """Worked out in memory, what came back took the number of the first lot, and its place."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.do(hold(40, seconds=60))
        await ledger.move_clock(timedelta(hours=2))
        an_hour_ago = await ledger.engine.now() - timedelta(hours=1)
        then = await ledger.balance("ada", as_of=an_hour_ago)
        assert (then.balance, then.available, then.held, then.debt) == (100, 100, 0, 0)
        owed = await ledger.engine.liability(as_of=an_hour_ago)
        assert (owed.outstanding, owed.proven) == (100, True)


async def test_purchases_that_come_with_a_merge_revive_nothing_before_it(database_url: str) -> None:
    """Where the tier stayed, the merge was not remembered as a decision: a late purchase promoted from before it."""
    async with open_ledger(database_url, program(policy=""), "ada", "bob") as ledger:
        await ledger.do(purchase(300000, START - timedelta(days=20)))
        await ledger.do(purchase(300000, START - timedelta(days=20), member="bob"))
        await ledger.engine.merge("bob", "ada")
        merged_at = await ledger.engine.now()
        await ledger.do(purchase(100, START - timedelta(days=10)))
        standing = await ledger.standing()
        assert standing.tier == "silver"
        assert timedelta() <= merged_at - standing.since < timedelta(seconds=5)


async def test_a_late_purchase_is_judged_by_the_tier_that_came_with_a_merge_from_its_since_on(
    database_url: str,
) -> None:
    """The model took the time before the merge for one without the tier; the design counts from its `since`."""
    double = "[[rules]]\nid = 'x2'\nkind = 'multiplier'\nfactor = 2\nwhen = { tier = ['silver'] }\n"
    async with open_ledger(database_url, program(rules=BASE + double), "ada", "bob") as ledger:
        await ledger.do(purchase(500000, START - timedelta(days=20), "bob"))
        await ledger.engine.merge("bob", "ada")
        assert (await ledger.do(purchase(10000, START - timedelta(days=10)))).points_earned == 200
        assert (await ledger.do(purchase(10000, START - timedelta(days=30)))).points_earned == 100


async def test_a_debt_is_paid_at_a_merge_by_what_ends_soonest_after_the_activity_of_both(
    database_url: str,
) -> None:
    """Idle points that came along were taken for as old as they were, although their owner had been active."""
    in_ten_days = START + timedelta(days=10)
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada", "bob") as ledger:
        await ledger.do(purchase(10000, START - timedelta(days=19)))
        await ledger.do(purchase(10000))
        await ledger.do(adjust(100, expires_at=in_ten_days))
        await ledger.do(UnlinkedReturn("t", "bob", START, (line(5000),)))
        await ledger.engine.merge("ada", "bob")
        assert (await ledger.lots("bob"))[0] == (50, in_ten_days)


async def test_a_hold_that_came_with_a_merge_is_captured_by_a_purchase(database_url: str) -> None:
    """Its id was taken for another member's."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(purchase(10000, member="bob"))
        await ledger.do(hold(40, "bob", id="h"))
        await ledger.engine.merge("bob", "ada")
        receipt = await ledger.do(purchase(10000, pay=PurchaseRedemption("h", points=40)))
        assert (receipt.points_redeemed, receipt.balance.held) == (40, 0)


async def test_points_of_nobody_are_forfeited_when_a_redemption_is_reversed(database_url: str) -> None:
    """What came back after an erasure stood in the books for ever, although nobody could spend it."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.do(redeem(40, id="x"))
        await ledger.engine.erase("ada")
        assert (await ledger.do(Reversal("x", 40, "v"))).balance.balance == 0
        owed = await ledger.engine.liability()
        assert (owed.outstanding, owed.redeemed, owed.adjusted) == (0, 0, -100)


async def test_a_purchase_is_not_paid_with_a_redemption_of_another_member_in_another_shard(
    database_url: str,
) -> None:
    """The look under the lock sees one shard: the id was used a second time."""
    connection = await connect_owner(database_url)
    await connection.execute("update setting set shards = 5")
    await connection.close()
    members = [f"m{n}" for n in range(8)]
    async with open_ledger(database_url, program(), *members) as ledger:
        assert await ledger.value("select count(distinct shard)::int from account") > 1
        for member in members:
            await ledger.do(purchase(10000, member=member))
        await ledger.do(redeem(10, "m0", id="x"))
        for member in members[1:]:
            paid = purchase(10000, member=member, pay=PurchaseRedemption("x", points=10))
            await ledger.refused(paid, IdConflict)


async def test_the_bounds_of_a_merged_account_are_not_held_to_what_came_into_it_and_went_on(
    database_url: str,
) -> None:
    """Goods that came back without their purchase lowered the bound of an account that they came to with a merge; once
    it was merged itself, the audit looked for them where they were no longer."""
    async with open_ledger(database_url, program(), "ada", "bob", "eve") as ledger:
        await ledger.do(purchase(10000, START - timedelta(days=20), "bob"))
        await ledger.do(UnlinkedReturn("t", "ada", START - timedelta(days=10), (line(5000),)))
        await ledger.engine.merge("ada", "bob")
        await ledger.all(purchase(3000, START, "bob", id="p"), goods_back("p"))
        await ledger.assert_sound()
        await ledger.engine.merge("bob", "eve")


@pytest.mark.parametrize("loaded", [True, False])
async def test_idle_points_that_a_late_purchase_ends_are_gone_for_what_comes_with_it(
    database_url: str, loaded: bool
) -> None:
    """A purchase under a shorter period moved the end of all idle points into the past; in the same upload they could
    still be spent, and another purchase made them live on."""
    async with open_ledger(database_url, program(expiry("inactivity", months=2)), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.move_clock(timedelta(days=1))
        await ledger.put(program(expiry("inactivity", days=15)))
        now = await ledger.move_clock(timedelta(days=20))
        late = purchase(5000, START + timedelta(days=2))
        if loaded:
            _, refused = await ledger.all(late, redeem(50))
            assert isinstance(refused, InsufficientPoints)
        else:
            _, receipt = await ledger.all(late, purchase(3000, now))
            assert receipt.balance.balance == 30
        assert (await ledger.entries())[:4] == [
            ("earn", 100),
            ("earn", 50),
            ("expire", -50),
            ("expire", -100),
        ]
