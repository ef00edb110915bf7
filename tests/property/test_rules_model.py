"""The judge against a model written from DESIGN.md section 4 with fractions and loops only, and what must always hold.

The model knows no index, no scale and no plan: it asks every rule about every line.
"""

from datetime import UTC, date, datetime, time
from fractions import Fraction
from math import ceil, floor
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.program.model import Limit, PointsPolicy, Program, Rule, Selector, When
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts, JudgedLine, Used

SKUS, CATEGORIES, TAGS = ("A", "B", "C"), ("x", "y"), ("t", "u")
Shares = dict[tuple[str, int | None], Fraction]


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
)
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


def total_of(shares: Shares) -> Fraction:
    return sum(shares.values(), Fraction(0))


class Model:
    """DESIGN.md section 4, sentence by sentence."""

    def __init__(self, program: Program, basket: list[JudgedLine], facts: Facts) -> None:
        self.program, self.facts = program, facts
        money = Fraction(facts.basket_amount - facts.redeemed_amount, facts.basket_amount or 1)
        exclude = program.points.exclude
        self.lines = [line for line in basket if exclude is None or not self.selects(exclude, line)]
        part = money if facts.redeemed_amount else Fraction(1)
        self.base = {line.line: line.amount * part for line in self.lines}

    @staticmethod
    def selects(selector: Selector, line: JudgedLine) -> bool:
        return (
            (selector.sku is None or line.sku in selector.sku)
            and (selector.not_sku is None or line.sku not in selector.not_sku)
            and (selector.category is None or line.category in selector.category)
            and (selector.not_category is None or line.category not in selector.not_category)
            and (selector.tag is None or bool(selector.tag & set(line.tags)))
            and (selector.not_tag is None or not selector.not_tag & set(line.tags))
            and (selector.min_quantity is None or Fraction(line.quantity) >= selector.min_quantity)
        )

    def matched(self, rule: Rule) -> list[JudgedLine]:
        return [line for line in self.lines if rule.where is None or self.selects(rule.where, line)]

    def holds(self, rule: Rule) -> bool:
        local = self.facts.occurred_at.astimezone(self.program.time_zone)
        day = local.date()
        if (rule.from_on and day < rule.from_on) or (rule.until_on and day >= rule.until_on):
            return False
        when = rule.when or When()
        return (
            (when.channel is None or self.facts.channel in when.channel)
            and (when.tier is None or self.facts.tier in when.tier)
            and (when.store is None or self.facts.store in when.store)
            and (when.weekday is None or day.weekday() in when.weekday)
            and (when.day_of_month is None or day.day in when.day_of_month)
            and (when.month_day is None or (day.month, day.day) in when.month_day)
            and self.within_hours(when, local.time())
            and (when.birthday is None or when.birthday in self.facts.birthday)
            and (when.first_purchase is None or when.first_purchase == self.facts.first_purchase)
            and (when.min_amount is None or sum(self.base.values()) >= when.min_amount)
            and (when.min_lines is None or len(self.lines) >= when.min_lines)
        )

    @staticmethod
    def within_hours(when: When, now: time) -> bool:
        begin, end = when.time_from or time(0), when.time_until
        if end is None:
            return now >= begin
        if when.time_from is None or begin < end:
            return begin <= now < end
        return not end <= now < begin  # past midnight

    def alone(self, rule: Rule, spend: dict[int | None, Fraction]) -> Shares:
        """What the rule wants before its limits."""
        matched = self.matched(rule)
        points, gain = rule.points or Fraction(0), (rule.factor or Fraction(1)) - 1
        if rule.kind == "flat":
            return {(rule.id, None): points}
        if rule.kind == "units":
            return {(rule.id, line.line): Fraction(line.quantity) * points for line in matched}
        if rule.kind == "multiplier":
            return {(rule.id, line.line): spend[line.line] * gain for line in matched}
        per = Fraction(rule.per_amount or 1)
        base = sum((self.base[line.line] for line in matched), Fraction(0))
        if not rule.whole_steps:
            return {(rule.id, line.line): self.base[line.line] * points / per for line in matched}
        steps = floor(base / per)
        return {(rule.id, line.line): steps * points * self.base[line.line] / (base or 1) for line in matched}

    def cap(self, rule: Rule) -> int | None:
        limit, used = rule.limit or Limit(), self.facts.used.get(rule.id, Used())
        caps = [limit.per_purchase_points]
        if limit.per_member is not None and used.times >= limit.per_member:
            caps.append(0)
        if limit.per_member_day is not None and used.times_day >= limit.per_member_day:
            caps.append(0)
        if limit.per_member_points is not None:
            caps.append(max(0, limit.per_member_points - used.points))
        if limit.budget_points is not None:
            caps.append(limit.budget_points if used.budget_left is None else used.budget_left)
        return min((cap for cap in caps if cap is not None), default=None)

    def trimmed(self, rule: Rule, wanted: Shares) -> Shares:
        cap, total = self.cap(rule), sum(wanted.values(), Fraction(0))
        if cap is None or total <= cap:
            return wanted
        return {key: part * cap / total for key, part in wanted.items()}

    def spend(self, given: dict[str, Shares], active: list[Rule]) -> dict[int | None, Fraction]:
        spend: dict[int | None, Fraction] = dict.fromkeys(self.base, Fraction(0))
        for rule in active:
            if rule.kind == "spend" and rule.id in given:
                for (_, line), part in given[rule.id].items():
                    spend[line] += part
        return spend

    def judge(self) -> dict[str, Shares]:
        active = [rule for rule in self.program.rules if self.matched(rule) and self.holds(rule)]
        nothing: dict[int | None, Fraction] = {}
        given = {
            rule.id: self.trimmed(rule, self.alone(rule, nothing))
            for rule in active
            if rule.kind != "multiplier" and rule.group is None
        }
        groups = list(dict.fromkeys(rule.group for rule in active if rule.group is not None))
        multiplying = {rule.group for rule in active if rule.kind == "multiplier"}
        chosen: set[str] = set()
        for group in sorted(groups, key=lambda name: name in multiplying):
            spend = self.spend(given, active)
            best, most, kept = None, Fraction(-1), Shares()
            for rule in active:
                if rule.group == group:
                    shares = self.trimmed(rule, self.alone(rule, spend))
                    worth = sum(shares.values(), Fraction(0))
                    if worth > most:
                        best, most, kept = rule, worth, shares
            assert best is not None
            chosen.add(best.id)
            if best.kind != "multiplier":
                given[best.id] = kept
        multipliers = [
            rule for rule in active if rule.kind == "multiplier" and (rule.group is None or rule.id in chosen)
        ]
        given |= self.multiplied(multipliers, self.spend(given, active))
        return given

    def multiplied(self, rules: list[Rule], spend: dict[int | None, Fraction]) -> dict[str, Shares]:
        gains: dict[str, Shares] = {}
        mode = self.program.points.multipliers
        for rule in rules:
            wanted = self.alone(rule, spend)
            if mode == "best" and self.cap(rule) != 0:
                for key in list(wanted):
                    rivals = [
                        other
                        for other in rules
                        if self.cap(other) != 0 and any(line.line == key[1] for line in self.matched(other))
                    ]
                    if max(rivals, key=lambda other: other.factor or 0) is not rule:
                        del wanted[key]
            gains[rule.id] = self.trimmed(rule, wanted)
            if mode == "compound":
                for (_, line), part in gains[rule.id].items():
                    spend[line] += part
        return gains


part = st.just(Fraction(0)) | st.fractions(0, 1, max_denominator=7)


@settings(max_examples=400, deadline=None)
@given(rule_lists, policies, lines, part, st.booleans(), uses, circumstances)
def test_the_judge_agrees_with_the_model(
    rules: tuple[Rule, ...],
    points: PointsPolicy,
    basket: list[JudgedLine],
    redeemed: Fraction,
    first: bool,
    used: dict[str, Used],
    found_so: Facts,
) -> None:
    program, facts = program_of(rules, points), facts_of(basket, redeemed, first, used, found_so)
    award = compile_program(program).judge(basket, facts)
    model = Model(program, basket, facts)
    expected = model.judge()
    found: Shares = {}
    for share in award.shares:
        key = (share.rule, share.line)
        assert key not in found, "one share for each rule and line"
        found[key] = Fraction(share.points)
    flat: Shares = {}
    for shares in expected.values():
        flat |= {key: points for key, points in shares.items() if points}
    assert {key: value for key, value in found.items() if value} == flat
    assert award.total == sum(flat.values())
    assert award.base_amount == sum(model.base.values())
    assert award.metric_amount == floor(award.base_amount)
    counted = {
        rule.id
        for rule in rules
        if rule.limit and rule.limit != Limit(per_purchase_points=rule.limit.per_purchase_points)
    }
    assert award.charges == {
        name: (1, ceil(total_of(shares)))
        for name, shares in expected.items()
        if name in counted and total_of(shares)
    }
    assert counted & expected.keys() <= set(award.consulted)


@settings(deadline=None)
@given(rule_lists, policies, lines, part)
def test_rounding_stays_within_its_bounds_and_shares_add_up(
    rules: tuple[Rule, ...], points: PointsPolicy, basket: list[JudgedLine], redeemed: Fraction
) -> None:
    award = compile_program(program_of(rules, points)).judge(basket, facts_of(basket, redeemed, False, {}))
    assert award.points >= 0
    assert award.points + award.rounding == award.total == sum(share.points for share in award.shares)
    if points.rounding == "floor":
        dropped = Fraction(award.rounding)
        assert 0 <= dropped < 1
    else:
        assert abs(Fraction(award.rounding)) <= Fraction(1, 2)
    assert sum(Fraction(row.points) for row in explain(award)) == award.total


@settings(deadline=None)
@given(rule_lists, policies, lines, part, st.randoms())
def test_the_order_of_lines_changes_nothing(
    rules: tuple[Rule, ...],
    points: PointsPolicy,
    basket: list[JudgedLine],
    redeemed: Fraction,
    chance: Any,
) -> None:
    judge, facts = compile_program(program_of(rules, points)), facts_of(basket, redeemed, False, {})
    shuffled = list(basket)
    chance.shuffle(shuffled)
    one, other = judge.judge(basket, facts), judge.judge(shuffled, facts)
    assert (one.points, one.total, one.charges) == (other.points, other.total, other.charges)
    assert {(s.rule, s.line, s.points) for s in one.shares} == {
        (s.rule, s.line, s.points) for s in other.shares
    }


@settings(deadline=None)
@given(rule_lists, lines)
def test_a_basket_paid_with_points_earns_nothing_on_spend(
    rules: tuple[Rule, ...], basket: list[JudgedLine]
) -> None:
    spending = tuple(rule for rule in rules if rule.kind in ("spend", "multiplier"))
    facts = facts_of(basket, Fraction(1), False, {})
    if facts.basket_amount:
        assert compile_program(program_of(spending, PointsPolicy())).judge(basket, facts).total == 0


@settings(deadline=None)
@given(rule_lists, policies, part)
def test_a_full_return_keeps_nothing(
    rules: tuple[Rule, ...], points: PointsPolicy, redeemed: Fraction
) -> None:
    sold = [JudgedLine(1, "A", 1, 1_000)]
    award = compile_program(program_of(rules, points)).judge([], facts_of(sold, redeemed, True, {}))
    assert (award.points, award.metric_amount, award.charges, award.shares) == (0, 0, {}, [])


@settings(deadline=None)
@given(rule_lists, policies, lines)
def test_memory_of_earlier_baskets_changes_nothing(
    rules: tuple[Rule, ...], points: PointsPolicy, basket: list[JudgedLine]
) -> None:
    facts = facts_of(basket, Fraction(0), False, {})
    used_before = compile_program(program_of(rules, points))
    for tier in ("gold", "ordinary"):
        used_before.judge(basket, msgspec.structs.replace(facts, tier=tier))
    assert used_before.judge(basket, facts) == compile_program(program_of(rules, points)).judge(basket, facts)
