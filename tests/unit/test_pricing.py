"""Discounts of members: which line costs how much less, told to tills and never counted as points."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.program.diff import diff
from loyalty.program.model import Program
from loyalty.program.parse import parse
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program, needs
from loyalty.rules.facts import Facts
from loyalty.rules.pricing import LineDiscount, Pricing, discounted
from loyalty.types import PurchaseLine
from tests.unit.test_program_warnings import BASE, HEAD

GOLD = """
[[tiers]]
id = "ordinary"
[[tiers]]
id = "gold"
qualify = { spend_amount = 2000000 }
benefits = { discount_percent = 10, privileges = ["free_delivery"] }
"""
EIGHTH = datetime(2026, 6, 8, 4, tzinfo=UTC)


def discount(id: str, percent: str = "15", **said: str) -> str:
    return f'[[discounts]]\nid = "{id}"\npercent = {percent}\n' + "".join(
        f"{key.rstrip('_')} = {value}\n" for key, value in said.items()
    )


def program(*discounts: str, tiers: str = GOLD) -> Program:
    parsed = parse(HEAD + tiers + BASE + "".join(discounts))
    assert parsed.program is not None, parsed.diagnostics
    return parsed.program


def line(amount: int, number: int = 1, **fields: Any) -> PurchaseLine:
    return PurchaseLine("LAMP-1", amount, number, **fields)


def off(known: Program, *lines: PurchaseLine, tier: str = "ordinary", **facts: Any) -> list[LineDiscount]:
    return Pricing(known).discounts(lines, Facts(EIGHTH, "pos", tier, **facts))


def test_the_highest_of_a_lines_discounts_counts_and_the_tiers_own_wins_a_tie() -> None:
    known = program(discount("small", "5"), discount("large", "12.5"), discount("same", "12.5"))
    assert off(known, line(1000)) == [LineDiscount(1, Decimal("12.5"), 125, "large")]
    ties = program(discount("as-gold", "10"))
    assert off(ties, line(1000), tier="gold") == [LineDiscount(1, 10, 100, tier="gold")]


def test_goods_find_their_discounts_in_the_order_of_the_file_however_they_are_chosen() -> None:
    lamps = discount("lamps", "20", where='{ sku = "LAMP-1" }')
    lights = discount("lights", "20", where='{ category = "light" }')
    for first, second, winner in ((lamps, lights, "lamps"), (lights, lamps, "lights")):
        (found,) = off(program(first, second), line(1000, category="light"))
        assert found.discount == winner
    assert off(program(lamps), PurchaseLine("TABLE", 1000, 1)) == []


def test_conditions_ask_the_basket_as_it_was_sent() -> None:
    known = program(
        discount("large", when="{ min_amount = 2000, min_lines = 2 }"),
        discount("day", "8", when='{ day_of_month = 8, channel = "pos", birthday = "month" }'),
    )
    assert off(known, line(1000), line(999, 2)) == []
    assert [found.discount for found in off(known, line(1000), line(1000, 2))] == ["large", "large"]
    assert off(known, line(100), birthday=frozenset({"month"})) == [LineDiscount(1, 8, 8, "day")]
    assert needs(known).birthday
    assert not needs(known).counters


def test_a_discount_earns_and_costs_no_points() -> None:
    plain, discounting = program(), program(discount("all"))
    facts = Facts(EIGHTH, "pos", "gold")
    one, other = (compile_program(each).judge([line(12_345)], facts) for each in (plain, discounting))
    assert (one.points, one.charges, explain(one)) == (other.points, other.charges, explain(other))


lines = st.lists(
    st.builds(
        lambda amount, more: PurchaseLine(
            "LAMP-1", amount, list_amount=more if more is None else amount + more
        ),
        st.integers(0, 10**7),
        st.none() | st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=5,
).map(
    lambda found: [
        PurchaseLine(one.sku, one.amount, number, list_amount=one.list_amount)
        for number, one in enumerate(found, 1)
    ]
)
percents = st.decimals(Decimal("0.001"), 100, places=3)


@given(lines, percents, percents)
def test_no_line_costs_more_than_it_did_nor_less_than_its_percentage_and_none_is_discounted_twice(
    basket: list[PurchaseLine], one: Decimal, other: Decimal
) -> None:
    known = program(discount("one", str(one)), discount("other", str(other)))
    pricing, facts = Pricing(known), Facts(EIGHTH, "pos", "gold")
    best = max(Fraction(one), Fraction(other), Fraction(10))
    found = pricing.discounts(basket, facts)
    after = discounted(basket, found)
    for before, now in zip(basket, after, strict=True):
        full = max(before.amount, before.list_amount or 0)
        price = -(-full * (100 - best) // 100)  # rounded up: the discount is rounded down
        assert now.amount == min(before.amount, price)
    assert pricing.discounts(after, facts) == []


WRONG = {
    "no percent": ('[[discounts]]\nid = "d"\n', "discounts.d.percent", "percent = 10"),
    "nothing off": (discount("d", "0"), "discounts.d.percent", "must be above 0"),
    "more than all": (discount("d", "101"), "discounts.d.percent", "at most 100"),
    "in quotes": (discount("d", '"10"'), "discounts.d.percent", "without quotes"),
    "twice": (discount("d") + discount("d"), "discounts[1].id", "earlier discount"),
    "no such tier": (discount("d", when='{ tier = "golf" }'), "discounts.d.when.tier", "did you mean gold?"),
    "points": (discount("d", points="5"), "discounts.d.points", "unknown key"),
    "over before it begins": (
        discount("d", from_="2026-06-08", until="2026-06-08"),
        "discounts.d.until",
        "first day on which it is over",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told_with_their_key(case: str) -> None:
    source, key, words = WRONG[case]
    found = parse(HEAD + GOLD + BASE + source)
    assert found.program is None
    assert any(one.key == key and words in one.message for one in found.diagnostics), found.diagnostics


ODD = {
    "below every tier": (
        discount("d", "10", when='{ tier = "gold" }'),
        "discounts.d.percent",
        "the highest counts",
    ),
    "always beaten": (
        discount("a", "15") + discount("b", "12", when="{ day_of_month = 8 }"),
        "discounts.b.percent",
        '"a" is in force whenever this is',
    ),
    "of equals the later": (discount("a") + discount("b"), "discounts.b.percent", '"a" is in force'),
    "most of everything": (discount("d", "60"), "discounts.d.percent", "60 % off everything"),
    "never": (
        discount("d", when='{ month_day = "11-11" }', until="2026-11-11", from_="2025-11-12"),
        "discounts.d.when",
        "never fires",
    ),
    "excluded": (
        '[points]\nexclude = { category = "voucher" }\n' + discount("d", where='{ category = "voucher" }'),
        "discounts.d.where",
        "never fires",
    ),
    "every line": (discount("d", where="{}"), "discounts.d.where", "selects every line"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_surely_not_meant_is_warned_of(case: str) -> None:
    source, key, words = ODD[case]
    found = parse(HEAD + source + GOLD + BASE)
    assert found.program is not None, found.diagnostics
    assert any(one.key == key and words in one.message for one in found.diagnostics), found.diagnostics


def test_what_is_meant_gets_no_warning() -> None:
    sound = discount("day", "12", when="{ day_of_month = 8 }") + discount(
        "lamps", "20", where='{ sku = "L" }'
    )
    assert parse(HEAD + GOLD + BASE + sound).diagnostics == []


def test_thousands_of_discounts_are_checked_in_seconds() -> None:
    many = "".join(discount(f"d{n}", where=f'{{ sku = "S{n}" }}') for n in range(3_000))
    assert parse(HEAD + GOLD + BASE + many).diagnostics == []


def test_a_new_version_says_what_members_pay_less() -> None:
    old = program(discount("day", when="{ day_of_month = 8 }"), discount("gone"))
    new = program(
        discount("day", "20", when="{ day_of_month = 9 }", where='{ sku = "A" }'),
        discount("new", "12.5", when='{ tier = "gold" }', until="2027-01-01"),
    )
    assert diff(old, new) == [
        "discount gone is gone",
        "discount day: 20 % off instead of 15 % off",
        "discount day: only on day 9 of the month instead of on day 8 of the month",
        "discount day: now asks for sku A",
        "discount new is new: 12.5 % off, in tier gold, until the end of 2026-12-31",
    ]
    assert diff(new, new) == []
