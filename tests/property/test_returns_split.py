"""Any split of a full return takes back what the whole would: points, money, restored points, limits, tier metric."""

from collections.abc import AsyncIterator
from fractions import Fraction
from itertools import count
from math import ceil
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.types import PurchaseRedemption, ReturnLine
from tests.builders import BASE, START, Ledger, adjust, back, goods_back, line, open_ledger, program, purchase

RULES = (
    BASE
    + """
[[rules]]
id = "third"
kind = "spend"
points = 1
per_amount = 300
where = { sku = "B" }
[[rules]]
id = "step"
kind = "spend"
points = 10
per_amount = 2500
whole_steps = true
[[rules]]
id = "units"
kind = "units"
points = 3
where = { min_quantity = 2 }
[[rules]]
id = "bonus"
kind = "flat"
points = 50
when = { min_amount = 6000 }
group = "g"
limit = { budget_points = 100000, per_member = 5 }
[[rules]]
id = "small"
kind = "flat"
points = 20
when = { min_amount = 2000 }
group = "g"
limit = { per_member_points = 90 }
[[rules]]
id = "x1.5"
kind = "multiplier"
factor = 1.5
where = { sku = "A" }
limit = { per_purchase_points = 40 }
"""
)
_examples = count(1)
LINES = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 7), st.sampled_from(["A", "B"])), min_size=1, max_size=3
).filter(lambda lines: sum(amount for amount, _, _ in lines) > 0)
PARTS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["quantity", "amount", "both"]), st.integers(1, 4)),
    max_size=5,
)


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """A ledger whose rules have thresholds, steps, caps, limits and a group."""
    async with open_ledger(database_url, program(rules=RULES, redemption="points = 1\namount = 7")) as ledger:
        yield ledger


def part(left: list[list[int]], place: int, by: str, share: int) -> ReturnLine | None:
    """A share of what is left of a line, and less is left of it."""
    amount, quantity = left[place]
    some_amount, some_quantity = -(-amount // share), -(-quantity // share)
    if by == "amount" and some_amount:
        return back(place + 1, amount=some_amount)
    if by == "quantity" and some_quantity:
        return back(place + 1, some_quantity)
    if by == "both" and some_amount and some_quantity:
        return back(place + 1, some_quantity, some_amount)
    return None


@settings(max_examples=60)
@given(lines=LINES, parts=PARTS, paid=st.integers(0, 200))
async def test_any_split_of_a_full_return_is_the_whole(
    ledger: Ledger, lines: list[Any], parts: list[Any], paid: int
) -> None:
    whole, split = f"w{next(_examples)}", f"s{next(_examples)}"
    await ledger.enrol(whole, split)
    total = sum(amount for amount, _, _ in lines)
    paid = min(paid, total // 7)
    receipts = {}
    for member in (whole, split):
        await ledger.do(adjust(200, member))
        pay = PurchaseRedemption(f"r-{member}", points=paid) if paid else None
        basket = [line(amount, quantity, sku) for amount, quantity, sku in lines]
        receipts[member] = await ledger.do(purchase(basket, member=member, id=f"p-{member}", pay=pay))
    assert receipts[whole].points_earned == receipts[split].points_earned

    one = [await ledger.do(goods_back(f"p-{whole}"))]
    left = [[amount, quantity] for amount, quantity, _ in lines]
    many: list[Any] = []
    for place, by, share in parts:
        wanted = part(left, place % len(lines), by, share)
        if wanted is None:
            continue
        outcome = (await ledger.all(goods_back(f"p-{split}", START, wanted)))[0]
        if hasattr(outcome, "points_clawed_back"):
            many.append(outcome)
            facts = await ledger.value(
                "select facts from posting where kind = 'return' order by account desc, number desc limit 1"
            )
            for number, quantity, amount in msgspec.json.decode(facts)["back"]:
                left[number - 1] = [
                    lines[number - 1][0] - amount,
                    lines[number - 1][1] - ceil(Fraction(quantity)),
                ]
    rest = (await ledger.all(goods_back(f"p-{split}")))[0]
    if hasattr(rest, "points_clawed_back"):
        many.append(rest)
    for field in ("points_clawed_back", "points_restored", "refund_amount", "debt_added"):
        assert sum(getattr(receipt, field) for receipt in many) == getattr(one[0], field), field
        assert all(getattr(receipt, field) >= 0 for receipt in many), field
    assert one[0].points_clawed_back == receipts[whole].points_earned
    for member in (whole, split):
        assert await ledger.points(member) == (200, 0, 0, 0)
        assert (await ledger.standing(member)).qualifying.spend_amount == 0
    assert await ledger.value("select coalesce(sum(abs(points) + abs(times)), 0)::int from counter") == 0
    assert await ledger.value("select coalesce(sum(points), 0)::int from budget") == 0
    assert await ledger.value("select sum(purchases)::int from account") == 0
