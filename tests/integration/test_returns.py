"""Goods come back: what is kept earns what it would have earned, in any split, to the point."""

from datetime import timedelta
from decimal import Decimal

import pytest

from loyalty.errors import ReturnExceedsPurchase, ReturnNotAllowed, UnknownPurchase
from loyalty.types import PurchaseRedemption, UnlinkedReturn
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

LATER = START + timedelta(minutes=1)
BONUS = BASE + '[[rules]]\nid = "big"\nkind = "flat"\npoints = 100\nwhen = { min_amount = 10000 }\n'


async def test_a_full_return_nets_to_zero(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=BONUS), "ada") as ledger:
        await ledger.do(purchase([line(9999), line(1, 3)], id="p"))
        receipt = await ledger.do(goods_back("p"))
        assert (receipt.points_clawed_back, receipt.refund_amount, receipt.debt_added) == (200, 10000, 0)
        assert await ledger.points() == (0, 0, 0, 0)
        assert (await ledger.standing()).qualifying.spend_amount == 0
        await ledger.refused(goods_back("p"), ReturnExceedsPurchase)


async def test_goods_do_not_come_back_before_they_were_bought(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000, id="p"))
        await ledger.refused(goods_back("p", START - timedelta(seconds=1)), ReturnNotAllowed)
        assert (await ledger.do(goods_back("p", START))).points_clawed_back == 100


async def test_a_threshold_that_the_kept_part_misses_is_lost(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=BONUS), "ada") as ledger:
        await ledger.do(purchase([line(6000), line(6000)], id="p"))
        assert (await ledger.do(goods_back("p", START, back(1, amount=2000)))).points_clawed_back == 20
        assert (await ledger.do(goods_back("p", START, back(1, amount=1)))).points_clawed_back == 101
        assert (await ledger.do(goods_back("p"))).points_clawed_back == 99


async def test_quantity_alone_takes_its_share_floored_cumulatively_and_the_last_takes_the_rest(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase([line(1000, 3)], id="p"))
        refunds = [(await ledger.do(goods_back("p", START, back(1, 1)))).refund_amount for _ in range(3)]
        assert refunds == [333, 333, 334]
        await ledger.refused(goods_back("p", START, back(1, 1)), ReturnExceedsPurchase)


async def test_amount_alone_takes_units_in_proportion_exactly(database_url: str) -> None:
    rules = '[[rules]]\nid = "each"\nkind = "units"\npoints = 10\n'
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        await ledger.do(purchase([line(1000, 3)], id="p"))
        taken = [
            (await ledger.do(goods_back("p", START, back(1, amount=amount)))).points_clawed_back
            for amount in (1, 332, 333, 334)
        ]
        assert taken == [1, 9, 10, 10]  # what is kept is 29.97, 20.01, 10.02 and nothing
        assert sum(taken) == 30


async def test_a_line_without_amount_comes_back_by_quantity(database_url: str) -> None:
    rules = BASE + '[[rules]]\nid = "each"\nkind = "units"\npoints = 5\n'
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        assert (await ledger.do(purchase([line(0, 3), line(1000, 2)], id="p"))).points_earned == 35
        assert (await ledger.do(goods_back("p", START, back(1, 2)))).points_clawed_back == 10
        assert (await ledger.do(goods_back("p", START, back(2)))).points_clawed_back == 20
        assert (await ledger.do(goods_back("p"))).points_clawed_back == 5


async def test_a_line_without_quantity_comes_back_by_amount(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        assert (await ledger.do(purchase([line(1000, 0)], id="p"))).points_earned == 10
        assert (await ledger.do(goods_back("p", START, back(1, amount=500)))).points_clawed_back == 5
        await ledger.do(goods_back("p"))


async def test_fractions_of_units_come_back(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase([line(1000, Decimal("1.5"))], id="p"))
        assert (await ledger.do(goods_back("p", START, back(1, Decimal("0.75"))))).refund_amount == 500
        await ledger.refused(goods_back("p", START, back(1, Decimal("0.751"))), ReturnExceedsPurchase)


@pytest.mark.parametrize(
    "lines",
    [(back(1, 4),), (back(1, amount=1001),), (back(2),), (back(1, 2), back(1, 2)), (back(1, 1, 1001),)],
)
async def test_more_than_was_bought_never_comes_back(database_url: str, lines: tuple) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase([line(1000, 3)], id="p"))
        await ledger.refused(goods_back("p", START, *lines), ReturnExceedsPurchase)


async def test_a_return_never_grants(database_url: str) -> None:
    """Of a group the one worth most by itself counts: what is kept falls to one that a multiplier makes worth more."""
    rules = """
[[rules]]
id = "flat"
kind = "flat"
points = 100
when = { min_amount = 9900 }
group = "g"
[[rules]]
id = "spend"
kind = "spend"
points = 1
per_amount = 100
group = "g"
[[rules]]
id = "x2"
kind = "multiplier"
factor = 2
"""
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        assert (await ledger.do(purchase(9900, id="p"))).points_earned == 100
        taken = [
            (await ledger.do(goods_back("p", START, back(amount=amount)))).points_clawed_back
            for amount in (100, 4800, 1000, 4000)
        ]
        assert taken == [0, 0, 20, 80]  # what is kept would earn 196, 100, 80 and nothing


async def test_points_that_paid_come_back_in_proportion_last_used_first_then_clawback(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        early, late = START + timedelta(days=50), START + timedelta(days=90)
        await ledger.do(adjust(100, expires_at=early))
        await ledger.do(adjust(100, expires_at=late))
        receipt = await ledger.do(
            purchase([line(600), line(400)], id="p", pay=PurchaseRedemption("r", points=150))
        )
        assert (receipt.points_redeemed, receipt.points_earned) == (150, 8)
        part = await ledger.do(goods_back("p", START, back(2)))
        # 150 x 400 / 1000 points, and 850 x 400 / 1000 of money
        assert (part.points_restored, part.refund_amount, part.points_clawed_back) == (60, 340, 3)
        assert await ledger.lots() == [(10, early), (100, late), (5, None)]
        rest = await ledger.do(goods_back("p"))
        assert (rest.points_restored, rest.refund_amount, rest.points_clawed_back) == (90, 510, 5)
        assert await ledger.lots() == [(100, early), (100, late)]


async def test_three_thirds_give_back_all_points_and_all_money(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(100))
        await ledger.do(purchase([line(1000, 3)], id="p", pay=PurchaseRedemption("r", points=100)))
        parts = [await ledger.do(goods_back("p", START, back(1, 1))) for _ in range(3)]
        assert [part.points_restored for part in parts] == [33, 33, 34]
        assert [part.refund_amount for part in parts] == [299, 300, 301]
        assert await ledger.points() == (100, 0, 0, 0)


async def test_a_late_return_of_spent_points_becomes_debt_and_the_next_earn_repays_it(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program("pending_days = 3"), "ada") as ledger:
        await ledger.do(purchase(10000, START - timedelta(days=5), id="p"))
        await ledger.do(redeem(70))
        receipt = await ledger.do(goods_back("p"))
        assert (receipt.points_clawed_back, receipt.debt_added) == (100, 70)
        assert await ledger.points() == (0, 0, 0, 70)
        pending = await ledger.do(purchase(5000, START))
        assert (pending.debt_repaid, pending.points_pending) == (50, 0)  # pending ones too
        assert (await ledger.do(purchase(5000, START))).debt_repaid == 20
        assert await ledger.points() == (0, 0, 30, 0)


async def test_forgiving_lets_go_what_is_missing(database_url: str) -> None:
    async with open_ledger(database_url, program('shortfall = "forgive"'), "ada") as ledger:
        await ledger.do(purchase(10000, id="p"))
        await ledger.do(redeem(70))
        receipt = await ledger.do(goods_back("p"))
        assert (receipt.points_clawed_back, receipt.debt_added) == (30, 0)
        assert await ledger.points() == (0, 0, 0, 0)
        await ledger.do(purchase(10000, id="q"))
        await ledger.do(redeem(100))
        assert (await ledger.do(goods_back("q"))).points_clawed_back == 0


async def test_clawback_takes_own_lots_first_pending_before_spendable_never_held_ones(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program("pending_days = 3\n" + expiry(days=90)), "ada") as ledger:
        await ledger.do(purchase(3000, START - timedelta(days=80), id="soon"))
        await ledger.do(purchase(5000, START - timedelta(days=10), id="own"))
        await ledger.do(purchase(2000, START, id="pending"))
        await ledger.do(hold(20, id="h"))  # of the soonest
        await ledger.do(goods_back("own", START, back(amount=4000)))
        left = await ledger.fetch("select purchase_id, remaining from open_lot order by lot")
        assert [tuple(row) for row in left] == [("soon", 10), ("own", 10), ("pending", 20)]
        await ledger.do(goods_back("pending"))
        assert await ledger.points() == (20, 20, 0, 0)
        await ledger.do(redeem(20))
        receipt = await ledger.do(goods_back("own"))
        assert (receipt.debt_added, await ledger.points()) == (10, (0, 20, 0, 10))


async def test_a_return_of_points_that_expired_takes_others_or_becomes_debt(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(days=10)), "ada") as ledger:
        await ledger.do(purchase(1000, START, id="p"))
        later = await ledger.move_clock(START + timedelta(days=11))
        await ledger.do(purchase(400, later))
        receipt = await ledger.do(goods_back("p", later))
        assert (receipt.points_clawed_back, receipt.debt_added) == (10, 6)


async def test_a_return_is_judged_by_the_version_of_its_purchase(database_url: str) -> None:
    """The rate changed between sale and return (nopCommerce#5757)."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000, id="p"))
        later = await ledger.move_clock(START + timedelta(days=1))
        await ledger.put(program(rules=BASE.replace("points = 1", "points = 5")))
        assert (await ledger.do(goods_back("p", later, back(amount=4000)))).points_clawed_back == 40
        receipt = await ledger.do(goods_back("p", later))
        assert (receipt.points_clawed_back, receipt.program_version) == (60, 2)


@pytest.mark.parametrize("policy", ["base", "refuse"])
async def test_goods_without_a_known_purchase(database_url: str, policy: str) -> None:
    rules = BONUS + '[[rules]]\nid = "x2"\nkind = "multiplier"\nfactor = 2\n'
    source = program(f'unlinked_returns = "{policy}"', rules=rules)
    async with open_ledger(database_url, source, "ada") as ledger:
        await ledger.do(purchase(10000))
        request = UnlinkedReturn("u", "ada", START, (line(10000),))
        if policy == "refuse":
            await ledger.refused(request, ReturnNotAllowed)
        else:
            receipt = await ledger.do(request)
            assert (receipt.points_clawed_back, receipt.refund_amount) == (100, 10000)  # base rules alone
            assert (await ledger.standing()).qualifying.spend_amount == 0


async def test_a_return_before_its_purchase_is_to_be_repeated_later(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.refused(goods_back("p", id="t"), UnknownPurchase)
        await ledger.do(purchase(1000, id="p"))
        assert (await ledger.do(goods_back("p", id="t"))).points_clawed_back == 10
