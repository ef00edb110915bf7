"""Rules, baskets and circumstances, drawn at random for the tests of the judge."""

from datetime import UTC, date, datetime, time
from fractions import Fraction
from math import floor
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st

from loyalty.program.model import Limit, PointsPolicy, Program, Rule, Selector, When
from loyalty.rules.facts import Facts, JudgedLine, Used

SKUS, CATEGORIES, TAGS = ("A", "B", "C"), ("x", "y"), ("t", "u")


def some(values: tuple[str, ...]) -> st.SearchStrategy[frozenset[str] | None]:
    return st.none() | st.none() | st.frozensets(st.sampled_from(values), min_size=1, max_size=2)


lines = st.lists(
    st.builds(
        JudgedLine,
        line=st.none(),
        sku=st.sampled_from((*SKUS, "unknown")),
        quantity=st.integers(0, 5) | st.fractions(0, 5, max_denominator=12) | st.decimals(0, 5, places=2),
        amount=st.integers(0, 50_000),
        category=st.none() | st.sampled_from(CATEGORIES),
        tags=st.lists(st.sampled_from(TAGS), max_size=2, unique=True).map(tuple),
    ),
    max_size=5,
).map(lambda basket: [msgspec.structs.replace(one, line=at + 1) for at, one in enumerate(basket)])

selectors = st.builds(
    Selector,
    sku=some(SKUS),
    not_sku=some(SKUS),
    category=some(CATEGORIES),
    not_category=some(CATEGORIES),
    tag=some(TAGS),
    not_tag=some(TAGS),
    min_quantity=st.none() | st.none() | st.fractions(Fraction(1, 2), 3, max_denominator=4),
)
ZONE = ZoneInfo("Asia/Shanghai")
EDGES = (time(0), time(2), time(18), time(22))
JUST_BEFORE = (time(1, 59, 59, 999_999), time(17, 59, 59, 999_999), time(23, 59, 59, 999_999))
DAYS = (date(2026, 11, 7), date(2026, 11, 8), date(2026, 11, 9))
SPANS = ("day", "week", "month")

whens = st.builds(
    When,
    channel=some(("pos", "online")),
    store=some(("1", "2")),
    tier=some(("ordinary", "gold")),
    weekday=st.none() | st.none() | st.frozensets(st.integers(0, 6), min_size=1),
    day_of_month=st.none() | st.none() | st.frozensets(st.integers(7, 9), min_size=1),
    month_day=st.none() | st.none() | st.frozensets(st.sampled_from(((11, 7), (11, 8), (2, 29))), min_size=1),
    time_from=st.none() | st.none() | st.sampled_from(EDGES),
    time_until=st.none() | st.none() | st.sampled_from(EDGES),
    birthday=st.none() | st.none() | st.sampled_from(SPANS),
    first_purchase=st.none() | st.booleans(),
    min_amount=st.none() | st.integers(1, 40_000),
    min_lines=st.none() | st.integers(1, 4),
).filter(lambda when: when.time_from is None or when.time_from != when.time_until)
caps = st.none() | st.integers(1, 400)
limits = st.builds(
    Limit,
    per_purchase_points=caps,
    per_member=st.none() | st.integers(1, 2),
    per_member_day=st.none() | st.integers(1, 2),
    per_member_points=caps,
    budget_points=caps,
)
rules = st.builds(
    Rule,
    id=st.just(""),
    kind=st.sampled_from(("spend", "spend", "units", "flat", "multiplier", "multiplier")),
    points=st.fractions(Fraction(1, 10), 50, max_denominator=10),
    per_amount=st.sampled_from((1, 3, 100, 1_000)),
    whole_steps=st.booleans(),
    factor=st.fractions(1, 4, max_denominator=20),
    when=st.none() | whens,
    where=st.none() | selectors,
    from_on=st.none() | st.just(date(2026, 11, 8)),
    until_on=st.none() | st.just(date(2026, 11, 9)),
    group=st.none() | st.none() | st.sampled_from(("g", "h")),
    limit=st.none() | st.none() | limits,
)
rule_lists = st.lists(rules, max_size=7).map(
    lambda found: tuple(msgspec.structs.replace(rule, id=f"r{at}") for at, rule in enumerate(found))
)
policies = st.builds(
    PointsPolicy,
    rounding=st.sampled_from(("floor", "half_up", "half_even")),
    multipliers=st.sampled_from(("add", "compound", "best")),
    exclude=st.none() | selectors,
)
useds = st.builds(
    Used,
    times=st.integers(0, 2),
    times_day=st.integers(0, 2),
    points=st.integers(0, 300),
    budget_left=st.none() | st.integers(0, 300),
)
uses = st.dictionaries(st.sampled_from([f"r{at}" for at in range(7)]), useds)


def program_of(rules: tuple[Rule, ...], points: PointsPolicy) -> Program:
    return Program(name="P", currency="CNY", time_zone=ZONE, points=points, rules=rules)


circumstances = st.builds(
    Facts,
    occurred_at=st.builds(datetime.combine, st.sampled_from(DAYS), st.sampled_from(EDGES + JUST_BEFORE)).map(
        lambda local: local.replace(tzinfo=ZONE).astimezone(UTC)
    ),
    channel=st.sampled_from(("pos", "online")),
    tier=st.sampled_from(("ordinary", "gold")),
    store=st.sampled_from((None, "1", "2")),
    birthday=st.sets(st.sampled_from(SPANS)).map(frozenset),
)
AT_NOON = Facts(occurred_at=datetime(2026, 11, 8, 4, tzinfo=UTC), channel="pos", tier="ordinary")


def facts_of(
    basket: list[JudgedLine],
    redeemed: Fraction,
    first: bool,
    used: dict[str, Used],
    found: Facts = AT_NOON,
) -> Facts:
    total = sum(line.amount for line in basket)
    return msgspec.structs.replace(
        found,
        redeemed_amount=floor(total * redeemed),
        basket_amount=total,
        first_purchase=first,
        used=used,
    )


part = st.just(Fraction(0)) | st.fractions(0, 1, max_denominator=7)
