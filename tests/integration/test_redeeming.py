"""Points to money: at the program's rate, in whole steps, within the basket's share; refused, never trimmed."""

from datetime import timedelta

import msgspec
import pytest

from loyalty.errors import InsufficientPoints, RedemptionNotAllowed
from loyalty.types import Purchase, PurchaseRedemption, Redemption
from tests.builders import BASE, START, adjust, expiry, line, open_ledger, program, purchase, redeem

STEPS = "points = 100\namount = 250\nmin_points = 200\nstep_points = 100\nmax_basket_share = 0.5"


@pytest.mark.parametrize(
    "wanted, rule, most",
    [
        (redeem(250), "step_points", 1000),
        (redeem(100), "min_points", 1000),
        (redeem(0), "points", 1000),
        (redeem(-100), "points", 1000),
        (redeem(400, basket_amount=1500), "max_basket_share", 300),
        (redeem(1100, basket_amount=3000), "max_basket_share", 600),
        (Redemption("x", "ada", amount=251), "step_points", 1000),
        (purchase(1500, pay=PurchaseRedemption("x", points=400)), "max_basket_share", 300),
        (purchase(700, pay=PurchaseRedemption("x", points=200)), "max_basket_share", 0),
    ],
    ids=str,
)
async def test_what_the_program_forbids_is_refused_and_says_how_many_may_be(
    database_url: str, wanted: Redemption | Purchase, rule: str, most: int
) -> None:
    """Redeeming 0 took everything (medusa#16377)."""
    async with open_ledger(database_url, program(redemption=STEPS), "ada") as ledger:
        await ledger.do(adjust(1050))
        refused = await ledger.refused(wanted, RedemptionNotAllowed)
        assert (refused.facts["rule"], refused.facts["max_points"]) == (rule, most)


async def test_points_are_worth_what_the_program_says_by_points_or_by_amount(database_url: str) -> None:
    async with open_ledger(database_url, program(redemption=STEPS), "ada") as ledger:
        await ledger.do(adjust(1050))
        assert (await ledger.do(redeem(300))).amount == 750
        assert (await ledger.do(Redemption("a", "ada", amount=500))).points == 200
        missing = await ledger.refused(redeem(600), InsufficientPoints)
        assert missing.facts == {"available": 550, "missing": 50}
        assert await ledger.available() == 550


async def test_without_a_redemption_table_nothing_is_redeemed(database_url: str) -> None:
    async with open_ledger(database_url, program(redemption=""), "ada") as ledger:
        await ledger.do(adjust(1000))
        assert (await ledger.refused(redeem(100), RedemptionNotAllowed)).facts["rule"] == "redemption"


async def test_what_is_paid_with_points_earns_nothing_spread_over_all_lines(database_url: str) -> None:
    rules = (
        BASE + '[[rules]]\nid = "b"\nkind = "spend"\npoints = 1\nper_amount = 100\nwhere = { sku = "B" }\n'
    )
    async with open_ledger(
        database_url, program(redemption="points = 1\namount = 1", rules=rules), "ada"
    ) as ledger:
        await ledger.do(adjust(1000))
        basket = [line(2000), line(1000, sku="B")]
        receipt = await ledger.do(purchase(basket, pay=PurchaseRedemption("r", points=1000)))
        assert [part.points for part in receipt.explain] == ["40/3", "20/3", "20/3"]
        assert (receipt.points_earned, receipt.rounding) == (26, "2/3")


async def test_a_basket_paid_with_points_alone_earns_nothing_and_is_no_visit(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(1000))
        assert (await ledger.do(purchase(1000, pay=PurchaseRedemption("r", points=1000)))).points_earned == 0
        assert (await ledger.standing()).qualifying.visits == 0


async def test_what_a_purchase_earns_cannot_pay_for_it(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.refused(purchase(10000, pay=PurchaseRedemption("r", points=1)), InsufficientPoints)


async def test_a_quote_is_the_receipt_and_writes_nothing(database_url: str) -> None:
    async with open_ledger(database_url, program(redemption=STEPS), "ada") as ledger:
        await ledger.do(adjust(1050))
        request = purchase(1600, id="p", pay=PurchaseRedemption("r", points=200))
        before = await ledger.requests()
        quoted = msgspec.json.decode(await ledger.engine.quote(request))
        assert quoted.pop("max_points") == 300
        assert (quoted.pop("discounts"), quoted.pop("privileges"), quoted.pop("total_amount")) == (
            [],
            [],
            1600,
        )
        assert await ledger.requests() == before
        receipt = msgspec.json.decode((await ledger.do(request)).body)
        for answer in (quoted, receipt):
            answer.pop("recorded_at")
        assert quoted == receipt


async def test_a_quote_tells_a_blocked_member_that_nothing_may_be_redeemed(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(70))
        for status, most in (("active", 70), ("blocked", 0)):
            await ledger.fetch(f"update account set status = '{status}'")
            assert msgspec.json.decode(await ledger.engine.quote(purchase(10000)))["max_points"] == most


@pytest.mark.parametrize("points", ["", expiry(days=1), "pending_days = 3"])
async def test_a_quote_tells_the_most_points_that_may_be_redeemed_now(database_url: str, points: str) -> None:
    async with open_ledger(database_url, program(points), "ada") as ledger:
        await ledger.do(adjust(70))
        late = purchase(100000, START - timedelta(days=3), id="p")
        assert msgspec.json.decode(await ledger.engine.quote(late))["max_points"] == 70
        await ledger.do(msgspec.structs.replace(late, redemption=PurchaseRedemption("r", points=70)))
