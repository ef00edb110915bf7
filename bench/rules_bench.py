"""What it costs to judge a basket: `python -m bench.rules_bench`. CPU microseconds, the best of many runs.

Only ratios hold on another machine. The bar: 10,000 SKU rules cost at most 1.5 times what 10 cost.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction

import msgspec

from loyalty.program.model import Program, Rule, Selector
from loyalty.program.parse import parse, starter
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts
from loyalty.types import PurchaseLine

EXAMPLE = """
name = "Home Club"
currency = "CNY"
time_zone = "Asia/Shanghai"
[points]
exclude = { category = ["gift_voucher", "postage"] }
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 500000, visits = 12 }
[[tiers]]
id = "gold"
qualify = { spend_amount = 2000000 }
[[rules]]
id = "base"
kind = "spend"
points = 1
per_amount = 100
[[rules]]
id = "silver-x1.2"
kind = "multiplier"
factor = 1.2
when = { tier = ["silver"] }
[[rules]]
id = "lamp-bonus"
kind = "units"
points = 50
where = { sku = ["LAMP-1", "LAMP-2"] }
from = 2026-11-01
until = 2026-12-01
[[rules]]
id = "member-day"
kind = "multiplier"
factor = 2
when = { day_of_month = [8], channel = ["pos"] }
group = "double"
[[rules]]
id = "welcome"
kind = "flat"
points = 100
when = { first_purchase = true, min_amount = 5000 }
limit = { per_member = 1, per_member_day = 1, budget_points = 1000000 }
"""
LINES = 12
FACTS = Facts(occurred_at=datetime(2026, 11, 5, 4, tzinfo=UTC), channel="pos", store="001", tier="ordinary")


def main() -> None:
    example = parse(EXAMPLE).program
    assert example is not None
    basket = basket_of(random.Random(7))
    silver = msgspec.structs.replace(FACTS, tier="silver")
    busy = msgspec.structs.replace(
        silver, occurred_at=datetime(2026, 11, 8, 4, tzinfo=UTC), first_purchase=True
    )
    redeemed = msgspec.structs.replace(
        FACTS, redeemed_amount=1000, basket_amount=sum(line.amount for line in basket)
    )
    print(f"a basket of {LINES} lines: judged, and judged and explained as text")
    for name, facts in (
        ("example program, ordinary", FACTS),
        ("the same, silver x1.2", silver),
        ("silver, member day, welcome", busy),
        ("ordinary, partly paid with points", redeemed),
    ):
        report(name, example, basket, facts)
    tenth = 0.0
    for rules in (10, 100, 1_000, 10_000):
        cost = report(f"{rules:,} SKU rules", with_sku_rules(rules), basket, FACTS)
        tenth = tenth or cost
        print(f"{'':36}{cost / tenth:8.2f} times 10 rules")


def report(name: str, program: Program, basket: tuple[PurchaseLine, ...], facts: Facts) -> float:
    judge = compile_program(program)
    judged = best(lambda: judge.judge(basket, facts))
    explained = best(lambda: explain(judge.judge(basket, facts)))
    print(f"{name:36}{judged:8.1f} {explained:8.1f} us")
    return judged


def best(call: Callable[[], object], runs: int = 60, loops: int = 200) -> float:
    fastest = float("inf")
    for _ in range(runs):
        start = time.process_time()
        for _ in range(loops):
            call()
        fastest = min(fastest, time.process_time() - start)
    return fastest / loops * 1e6


def basket_of(chance: random.Random) -> tuple[PurchaseLine, ...]:
    return tuple(
        PurchaseLine(
            sku=f"SKU-{number % 10}",
            amount=chance.randrange(100, 30_000),
            line=number + 1,
            category=chance.choice(["light", "kitchen", "garden"]),
        )
        for number in range(LINES)
    )


def with_sku_rules(count: int) -> Program:
    """The starter program and as many rules on one SKU each; the basket has ten of these SKUs."""
    rules = tuple(
        Rule(
            id=f"sku-{number}",
            kind="units",
            points=Fraction(number % 7 + 1, 2),
            where=Selector(sku=frozenset({f"SKU-{number}"})),
        )
        for number in range(count)
    )
    return msgspec.structs.replace(starter(), rules=starter().rules + rules)


if __name__ == "__main__":
    main()
