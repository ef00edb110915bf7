"""What `check` says of where rules meet is what the rules do: held against the predicates that judge baskets."""

from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loyalty.program.meeting import (
    Horizon,
    baskets_within,
    lines_within,
    same_basket,
    same_line,
    surely_same_line,
)
from loyalty.program.model import Rule, Selector, When
from loyalty.program.parse import starter
from loyalty.rules.conditions import Basket, Setting, basket_test, shared_test
from loyalty.rules.facts import Facts, JudgedLine
from loyalty.rules.selectors import line_test

NAMES = ("a", "b", "c")


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


names = maybe(st.frozensets(st.sampled_from(NAMES), min_size=1))
selectors = st.builds(
    Selector,
    sku=names,
    not_sku=names,
    category=names,
    not_category=names,
    tag=names,
    not_tag=names,
    min_quantity=maybe(st.sampled_from([Fraction(1), Fraction(2)])),
)
lines = st.builds(
    JudgedLine,
    line=st.just(1),
    sku=st.sampled_from((*NAMES, "d")),
    quantity=st.integers(0, 3),
    amount=st.just(100),
    category=maybe(st.sampled_from((*NAMES, "d"))),
    tags=st.lists(st.sampled_from((*NAMES, "d")), max_size=3).map(tuple),
)
hours = maybe(st.sampled_from([time(6), time(12), time(22)]))
whens = st.builds(
    When,
    channel=names,
    store=names,
    tier=names,
    weekday=maybe(st.frozensets(st.integers(0, 6), min_size=1)),
    day_of_month=maybe(st.frozensets(st.integers(1, 31), min_size=1)),
    month_day=maybe(st.frozensets(st.sampled_from([(2, 29), (11, 11), (3, 5)]), min_size=1)),
    time_from=hours,
    time_until=hours,
    birthday=maybe(st.sampled_from(["day", "week", "month"])),
    first_purchase=maybe(st.booleans()),
    min_amount=maybe(st.integers(1, 3)),
    min_lines=maybe(st.integers(1, 3)),
).filter(lambda when: when.time_from is None or when.time_from != when.time_until)
days = st.dates(date(2026, 1, 1), date(2028, 12, 31))
spans = st.sampled_from(
    [frozenset(), frozenset({"month"}), frozenset({"week", "month"}), frozenset({"day", "week", "month"})]
)


def matches(where: Selector | None, line: JudgedLine) -> bool:
    test = line_test(where)
    return test is None or test(line)


@given(selectors, selectors, lines)
def test_lines_within_and_apart(one: Selector, other: Selector, line: JudgedLine) -> None:
    if lines_within(one, other) and matches(one, line):
        assert matches(other, line)
    if matches(one, line) and matches(other, line):
        assert same_line(one, other)
    assert not surely_same_line(one, other) or same_line(one, other)


def rule(when: When, from_on: date | None = None, until_on: date | None = None) -> Rule:
    return Rule(id="r", kind="flat", points=Fraction(1), when=when, from_on=from_on, until_on=until_on)


@st.composite
def baskets(draw: st.DrawFn) -> tuple[Setting, Basket]:
    local = datetime.combine(
        draw(days), draw(st.sampled_from([time(0), time(6), time(11), time(12), time(23)])), UTC
    )
    facts = Facts(local, "a", "a", first_purchase=draw(st.booleans()), birthday=draw(spans))
    setting = Setting(
        local.date(),
        draw(st.sampled_from(NAMES)),
        draw(maybe(st.sampled_from(NAMES))),
        draw(st.sampled_from(NAMES)),
    )
    return setting, Basket(ZoneInfo("UTC"), facts, draw(st.integers(0, 4)), 1, draw(st.integers(1, 4)))


def meets(known: Rule, found: tuple[Setting, Basket]) -> bool:
    shared, own = shared_test(known), basket_test(known)
    return (shared is None or shared(found[0])) and (own is None or own(found[1]))


@given(whens, whens, baskets())
def test_baskets_within_and_apart(one: When, other: When, found: tuple[Setting, Basket]) -> None:
    a, b = rule(one), rule(other)
    if meets(a, found) and meets(b, found):
        assert same_basket(one, other)
    without_days = msgspec.structs.replace(other, weekday=None, day_of_month=None, month_day=None)
    if baskets_within(one, other) and meets(a, found):
        assert meets(rule(without_days), found)


@given(st.lists(st.tuples(whens, maybe(days), maybe(days)), min_size=1, max_size=3), st.integers(0, 1500))
def test_days_are_those_on_which_a_rule_may_fire(said: list[Any], number: int) -> None:
    rules = tuple(rule(*one) for one in said if None in one[1:] or one[1] < one[2])
    horizon = Horizon.of(msgspec.structs.replace(starter(), rules=rules))
    day = horizon.first + timedelta(days=number)
    for known in rules:
        bits = horizon.of_rule(known)
        only_days = msgspec.structs.replace(
            known,
            when=When(
                weekday=known.when.weekday,
                day_of_month=known.when.day_of_month,
                month_day=known.when.month_day,
            )
            if known.when
            else None,
        )
        test = shared_test(only_days)
        assert bool(bits >> number & 1) == (test is None or test(Setting(day, "", None, "")))
        if known.until_on is None:
            impossible = known.when is not None and None not in (
                known.when.day_of_month,
                known.when.month_day,
            )
            assert bits or impossible
