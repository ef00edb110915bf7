"""A quote tells what members pay less, and its points are those of the purchase that is then recorded so."""

import msgspec
import pytest

from loyalty.rules.pricing import LineDiscount, discounted
from loyalty.types import Purchase, PurchaseRedemption
from tests.builders import BASE, START, Ledger, adjust, day, line, open_ledger, program, purchase, redeem

TIERS = """
[[tiers]]
id = "ordinary"
[[tiers]]
id = "gold"
qualify = { spend_amount = 1000000 }
benefits = { discount_percent = 10, privileges = ["free_delivery", "early_access"] }
"""
DISCOUNTS = """
[[discounts]]
id = "member-day"
percent = 12.5
when = { weekday = "mon", min_amount = 10000 }
where = { not_category = "book" }
"""
SOURCE = program(
    'exclude = { category = "voucher" }',
    "points = 1\namount = 1\nmax_basket_share = 0.5",
    TIERS,
    rules=BASE + DISCOUNTS,
)


def as_quoted(sent: Purchase, quote: dict) -> Purchase:
    """The purchase as a till records it that gives the discounts of its quote."""
    numbered = [
        msgspec.structs.replace(one, line=one.line or number) for number, one in enumerate(sent.lines, 1)
    ]
    given = [LineDiscount(one["line"], one["percent"], one["amount"]) for one in quote["discounts"]]
    return msgspec.structs.replace(sent, lines=discounted(numbered, given))


async def quoted(ledger: Ledger, sent: Purchase) -> dict:
    return msgspec.json.decode(await ledger.engine.quote(sent))


BASKETS = {
    "one line": (line(12_345),),
    "below the least amount": (line(9_999),),
    "reduced already": (line(12_345, list_amount=13_000), line(8_000, list_amount=10_000)),
    "some lines only": (line(9_999), line(3_333, category="book"), line(5_000, category="voucher")),
    "numbered by the till": (line(9_999, line=7), line(777, line=3)),
}


@pytest.mark.parametrize("basket", BASKETS)
@pytest.mark.parametrize("tier", ["ordinary", "gold"])
@pytest.mark.parametrize("pay", [0, 500])
async def test_recording_what_was_quoted_gives_the_receipt_that_was_quoted(
    database_url: str, basket: str, tier: str, pay: int
) -> None:
    async with open_ledger(database_url, SOURCE, "ada") as ledger:
        if tier == "gold":
            await ledger.do(purchase(1_000_000, id="before"))
        await ledger.do(adjust(700))
        sent = purchase(
            BASKETS[basket], START, id="p1", pay=PurchaseRedemption("r1", points=pay) if pay else None
        )
        before = await ledger.requests()
        quote = await quoted(ledger, sent)
        assert await ledger.requests() == before
        recorded = as_quoted(sent, quote)
        assert quote["total_amount"] == sum(one.amount for one in recorded.lines)
        receipt = msgspec.json.decode((await ledger.engine.submit(recorded)).body)
        assert {key: quote[key] for key in receipt if key != "recorded_at"} == {
            key: value for key, value in receipt.items() if key != "recorded_at"
        }


async def test_each_line_is_told_with_its_reason_and_its_amount(database_url: str) -> None:
    async with open_ledger(database_url, SOURCE, "ada") as ledger:
        await ledger.do(purchase(1_000_000))
        goods = (line(9_999), line(3_333, category="book"), line(5_000, category="voucher"))
        quote = await quoted(ledger, purchase(goods))
        assert quote["discounts"] == [
            {"line": 1, "percent": 12.5, "amount": 1249, "discount": "member-day"},
            {"line": 2, "percent": 10, "amount": 333, "tier": "gold"},
        ]
        assert quote["total_amount"] == 8_750 + 3_000 + 5_000
        assert quote["points_earned"] == 117
        assert quote["privileges"] == ["free_delivery", "early_access"]


async def test_without_discounts_a_quote_is_the_receipt_of_what_was_sent(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        quote = await quoted(ledger, purchase(12_345))
        assert (quote["discounts"], quote["privileges"], quote["total_amount"]) == ([], [], 12_345)
        assert quote["points_earned"] == 123


async def test_benefits_are_those_of_the_tier_of_then_not_of_the_one_that_the_purchase_leads_to(
    database_url: str,
) -> None:
    async with open_ledger(database_url, SOURCE, "ada") as ledger:
        quote = await quoted(ledger, purchase(2_000_000, day(2026, 2, 24)))
        assert quote["tier"] == {"tier": "gold", "previous": "ordinary"}
        assert (quote["discounts"], quote["privileges"]) == ([], [])


async def test_the_most_that_may_be_redeemed_is_a_share_of_what_is_paid(database_url: str) -> None:
    async with open_ledger(database_url, SOURCE, "ada") as ledger:
        await ledger.do(adjust(100_000))
        sent = purchase(10_000)
        quote = await quoted(ledger, sent)
        assert (quote["total_amount"], quote["max_points"]) == (8_750, 4_375)
        with_points = msgspec.structs.replace(
            as_quoted(sent, quote), redemption=PurchaseRedemption("r1", points=4_375)
        )
        assert (await ledger.do(with_points)).points_redeemed == 4_375
        await ledger.do(redeem(1))
