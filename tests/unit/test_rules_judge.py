"""The semantics of DESIGN.md section 4 by example: base, exactness, stacking, time, limits."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from loyalty.program.model import Limit, PointsPolicy, Program, Rule, Selector, When
from loyalty.rules.award import Award, explain, rounding_text
from loyalty.rules.compile import compile_program, needs
from loyalty.rules.facts import Facts, JudgedLine, Used
from loyalty.types import PurchaseLine

BASE = Rule(id="base", kind="spend", points=Fraction(1), per_amount=100)
NOON = datetime(2026, 11, 8, 4, tzinfo=UTC)


def program(*rules: Rule, **points: Any) -> Program:
    return Program(
        name="Test",
        currency="CNY",
        time_zone=ZoneInfo("Asia/Shanghai"),
        points=PointsPolicy(**points),
        rules=rules,
    )


def facts(**changes: Any) -> Facts:
    return msgspec.structs.replace(Facts(occurred_at=NOON, channel="pos", tier="ordinary"), **changes)


def line(amount: int, number: int = 1, **parts: Any) -> PurchaseLine:
    return PurchaseLine(sku=parts.pop("sku", f"SKU-{number}"), amount=amount, line=number, **parts)


def judge(rules: Program, *lines: Any, **changes: Any) -> Award:
    return compile_program(rules).judge(lines, facts(**changes))


def multiplier(name: str, factor: str, **parts: Any) -> Rule:
    return Rule(id=name, kind="multiplier", factor=Fraction(factor), **parts)


def shares(award: Award) -> dict[tuple[str, int | None], str]:
    return {(row.rule, row.line): row.points for row in explain(award)}


def test_100_times_1_15_is_115() -> None:
    award = judge(program(BASE, multiplier("x", "1.15")), line(10_000))
    assert award.points == 115
    assert award.rounding == 0
    assert shares(award) == {("base", 1): "100", ("x", 1): "15"}


@pytest.mark.parametrize(("mode", "points"), [("add", 250), ("compound", 300), ("best", 200)])
def test_x2_and_x1_5_stack_as_the_program_says(mode: str, points: int) -> None:
    rules = program(BASE, multiplier("half", "1.5"), multiplier("double", "2"), multipliers=mode)
    assert judge(rules, line(10_000)).points == points


def test_a_purchase_is_rounded_once_and_the_rest_is_told() -> None:
    award = judge(program(BASE), line(1290), line(1290, 2))
    assert award.points == 25
    assert award.rounding == Fraction(4, 5)
    assert rounding_text(award) == "0.8"
    assert shares(award) == {("base", 1): "12.9", ("base", 2): "12.9"}


@pytest.mark.parametrize(
    ("rounding", "amount", "points"),
    [
        ("floor", 199, 1),
        ("half_up", 150, 2),
        ("half_up", 250, 3),
        ("half_up", 149, 1),
        ("half_even", 150, 2),
        ("half_even", 250, 2),
        ("half_even", 251, 3),
    ],
)
def test_rounding_is_the_programs(rounding: str, amount: int, points: int) -> None:
    assert judge(program(BASE, rounding=rounding), line(amount)).points == points


def test_a_share_that_never_ends_is_a_fraction() -> None:
    thirds = Rule(id="thirds", kind="spend", points=Fraction(1), per_amount=3)
    assert shares(judge(program(thirds), line(10))) == {("thirds", 1): "10/3"}


def test_redeemed_money_is_spread_over_all_lines_and_excluded_lines_earn_nothing() -> None:
    rules = program(BASE, exclude=Selector(category=frozenset({"postage"})))
    basket = (line(9_000), line(1_000, 2, category="postage"))
    award = judge(rules, *basket, redeemed_amount=1_000, basket_amount=10_000)
    assert award.base_amount == 8_100
    assert award.points == 81
    assert judge(rules, basket[1]).points == 0


def test_a_kept_part_carries_its_part_of_what_was_redeemed() -> None:
    kept = JudgedLine(1, "SKU-1", Fraction(1, 2), 5_000)
    award = judge(program(BASE), kept, redeemed_amount=5_000, basket_amount=10_000)
    assert award.base_amount == 2_500


def test_redeeming_on_a_basket_of_unknown_amount_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="basket_amount"):
        judge(program(BASE), line(100), redeemed_amount=50)


def test_a_flat_bonus_counts_once_if_a_line_matches_and_never_for_nothing() -> None:
    flat = Rule(id="flat", kind="flat", points=Fraction(5), where=Selector(tag=frozenset({"new", "eco"})))
    rules = program(flat, exclude=Selector(sku=frozenset({"VOUCHER"})))
    assert judge(rules, line(1, tags=("new", "eco")), line(1, 2, tags=("eco",))).points == 5
    assert judge(rules, line(1)).points == 0
    assert judge(program(flat)).points == 0


def test_units_count_quantities_with_fractions_exactly() -> None:
    units = Rule(id="units", kind="units", points=Fraction(1, 2))
    award = judge(program(units), line(0, quantity=Decimal("2.5")), line(100, 2, quantity=0))
    assert shares(award) == {("units", 1): "1.25"}


def test_whole_steps_count_over_the_lines_together_and_spread_by_base() -> None:
    steps = Rule(id="steps", kind="spend", points=Fraction(5), per_amount=1_000, whole_steps=True)
    award = judge(program(steps), line(1_500), line(1_500, 2), line(999, 3))
    assert award.total == 15
    assert Fraction(explain(award)[0].points) == Fraction(15 * 1_500, 3_999)


def test_multipliers_touch_spend_points_of_their_lines_only() -> None:
    units = Rule(id="units", kind="units", points=Fraction(10))
    double = multiplier("double", "2", where=Selector(category=frozenset({"light"})))
    award = judge(program(BASE, units, double), line(1_000, category="light"), line(1_000, 2))
    assert award.points == 10 + 10 + 20 + 10


def test_of_a_group_the_one_worth_most_counts_and_ties_go_to_the_first() -> None:
    small = Rule(id="small", kind="flat", points=Fraction(50), group="g")
    double = multiplier("double", "2", group="g")
    assert shares(judge(program(BASE, small, double), line(10_000))) == {
        ("base", 1): "100",
        ("double", 1): "100",
    }
    assert ("small", None) in shares(judge(program(BASE, small, double), line(5_000)))
    assert ("double", 1) in shares(judge(program(BASE, double, small), line(5_000)))


def test_a_group_compares_after_limits() -> None:
    big = Rule(id="big", kind="flat", points=Fraction(500), group="g", limit=Limit(per_purchase_points=10))
    small = Rule(id="small", kind="flat", points=Fraction(50), group="g")
    assert judge(program(big, small), line(1)).points == 50


def test_a_trimmed_rule_gives_whole_points_and_says_what_was_wanted() -> None:
    rule = msgspec.structs.replace(BASE, limit=Limit(per_member_points=30))
    award = judge(program(rule), line(1_290), line(1_290, 2), used={"base": Used(points=10)})
    assert award.points == 20
    assert award.rounding == 0
    assert award.charges == {"base": (1, 20)}
    assert explain(award)[0].note == "limited by per_member_points: 25.8 wanted, 20 given"
    assert [row.note for row in explain(award)[1:]] == [None]


def test_a_rule_that_just_reaches_its_limit_was_not_trimmed() -> None:
    capped = msgspec.structs.replace(BASE, limit=Limit(per_purchase_points=100))
    (row,) = explain(judge(program(capped), line(10_000)))
    assert (row.points, row.note) == ("100", None)


def test_of_equal_factors_of_which_the_best_counts_the_first_in_the_file_does() -> None:
    rules = program(BASE, multiplier("a", "2"), multiplier("b", "2"), multipliers="best")
    assert shares(judge(rules, line(10_000))) == {("base", 1): "100", ("a", 1): "100"}


def test_charges_are_whole_points_a_share_rounded_up() -> None:
    rule = msgspec.structs.replace(BASE, limit=Limit(budget_points=1_000))
    award = judge(program(rule), line(1_290), used={"base": Used(budget_left=13)})
    assert award.points == 12
    assert award.charges == {"base": (1, 13)}
    assert judge(program(rule), line(1_290), used={"base": Used(budget_left=12)}).total == 12


def test_times_used_up_leave_nothing_and_charge_nothing() -> None:
    flat = Rule(id="w", kind="flat", points=Fraction(100), limit=Limit(per_member=1, per_member_day=1))
    award = judge(program(flat), line(1), used={"w": Used(times=1)})
    assert award.points == 0
    assert award.charges == {}
    assert explain(award)[0].note == "limited by per_member: 100 wanted, 0 given"


def test_a_used_up_factor_leaves_its_line_to_the_next_best() -> None:
    triple = multiplier("triple", "3", limit=Limit(per_member=1))
    rules = program(BASE, triple, multiplier("double", "2"), multipliers="best")
    assert judge(rules, line(10_000), used={"triple": Used(times=1)}).points == 200


def test_multipliers_multiply_what_limits_left_of_spend() -> None:
    capped = msgspec.structs.replace(BASE, limit=Limit(per_purchase_points=50))
    assert judge(program(capped, multiplier("double", "2")), line(10_000)).points == 100


@pytest.mark.parametrize(
    ("when", "fires"),
    [
        (When(channel=frozenset({"pos"})), True),
        (When(channel=frozenset({"online"})), False),
        (When(store=frozenset({"1"})), False),
        (When(tier=frozenset({"gold"})), False),
        (When(weekday=frozenset({6})), True),
        (When(weekday=frozenset({0})), False),
        (When(day_of_month=frozenset({8})), True),
        (When(month_day=frozenset({(11, 8)})), True),
        (When(month_day=frozenset({(11, 9)})), False),
        (When(time_from=time(12), time_until=time(13)), True),
        (When(time_from=time(11), time_until=time(12)), False),
        (When(time_from=time(22), time_until=time(12, 1)), True),
        (When(time_from=time(12, 1)), False),
        (When(birthday="week"), True),
        (When(birthday="day"), False),
        (When(first_purchase=True), False),
        (When(first_purchase=False), True),
        (When(min_amount=10_000), True),
        (When(min_amount=10_001), False),
        (When(min_lines=2), False),
    ],
)
def test_every_condition_of_when(when: When, fires: bool) -> None:
    rule = Rule(id="r", kind="flat", points=Fraction(1), when=when)
    award = judge(program(rule), line(10_000), birthday=frozenset({"week", "month"}))
    assert award.points == fires


def test_days_are_local_and_until_is_over() -> None:
    rule = Rule(
        id="r", kind="flat", points=Fraction(1), from_on=date(2026, 11, 1), until_on=date(2026, 12, 1)
    )
    before_midnight = datetime(2026, 11, 30, 15, 59, tzinfo=UTC)
    after_midnight = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
    assert judge(program(rule), line(1), occurred_at=before_midnight).points == 1
    assert judge(program(rule), line(1), occurred_at=after_midnight).points == 0


@pytest.mark.parametrize(
    ("utc", "fires"),
    [
        ("2026-10-25T00:30", 1),  # 02:30 in summer time
        ("2026-10-25T01:30", 1),  # 02:30 again, in winter time
        ("2026-10-25T02:30", 0),
        ("2026-03-29T00:59", 0),
        ("2026-03-29T01:00", 0),  # 03:00: the hour from 02:00 is skipped
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall_also_when_it_is_moved(utc: str, fires: int) -> None:
    rule = Rule(id="r", kind="flat", points=Fraction(1), when=When(time_from=time(2), time_until=time(3)))
    berlin = msgspec.structs.replace(program(rule), time_zone=ZoneInfo("Europe/Berlin"))
    assert judge(berlin, line(1), occurred_at=datetime.fromisoformat(f"{utc}Z")).points == fires


def test_an_hour_repeated_over_midnight_is_of_the_new_day() -> None:
    rule = Rule(id="r", kind="flat", points=Fraction(1), from_on=date(2010, 11, 7))
    event = Rule(id="e", kind="event", points=Fraction(1), types=frozenset({"t"}), from_on=date(2010, 11, 7))
    there = msgspec.structs.replace(program(rule, event), time_zone=ZoneInfo("America/St_Johns"))
    before = datetime(2010, 11, 7, 2, tzinfo=UTC)  # 23:30; at 00:01 the clock was set back to 23:01
    for at, points in ((before, 0), (before + timedelta(hours=1), 1)):
        assert judge(there, line(1), occurred_at=at).points == points
        assert compile_program(there).judge_event("t", facts(occurred_at=at)).points == points


@pytest.mark.parametrize(
    ("where", "matches"),
    [
        (Selector(sku=frozenset({"A"})), True),
        (Selector(sku=frozenset({"a"})), False),
        (Selector(not_sku=frozenset({"A"})), False),
        (Selector(category=frozenset({"c"}), not_tag=frozenset({"t"})), False),
        (Selector(category=frozenset({"c"}), tag=frozenset({"t", "u"})), True),
        (Selector(not_category=frozenset({"d"})), True),
        (Selector(min_quantity=Fraction(5, 2)), True),
        (Selector(sku=frozenset({"A"}), min_quantity=Fraction(3)), False),
    ],
)
def test_every_selector_of_where(where: Selector, matches: bool) -> None:
    rule = Rule(id="r", kind="flat", points=Fraction(1), where=where)
    bought = line(1, sku="A", category="c", tags=("t",), quantity=Decimal("2.5"))
    assert judge(program(rule), bought).points == matches


def test_unlinked_returns_are_judged_by_base_rules_alone() -> None:
    others: list[dict[str, Any]] = [
        {"when": When(min_lines=1)},
        {"where": Selector(sku=frozenset({"SKU-1"}))},
        {"from_on": date(2020, 1, 1)},
        {"until_on": date(2030, 1, 1)},
        {"group": "g"},
    ]
    extra = [
        Rule(id=f"extra-{at}", kind="spend", points=Fraction(9), per_amount=100, **parts)
        for at, parts in enumerate(others)
    ]
    flat = Rule(id="flat", kind="flat", points=Fraction(7))
    judged = compile_program(program(BASE, *extra, flat, multiplier("double", "2")))
    assert judged.judge_unlinked([line(1_000)], facts()).points == 10


def test_the_metric_is_the_base_floored_once() -> None:
    award = judge(program(BASE), line(100), line(100, 2), redeemed_amount=1, basket_amount=300)
    assert award.base_amount == 200 - Fraction(200, 300)
    assert award.metric_amount == 199


def test_rates_without_a_common_denominator_stay_exact() -> None:
    primes = [10**9 + 7, 10**9 + 9, 10**9 + 21]
    rules = [Rule(id=f"r{p}", kind="spend", points=Fraction(1), per_amount=p) for p in primes]
    award = judge(program(*rules, multiplier("double", "2")), line(123))
    assert award.total == sum(Fraction(246, p) for p in primes)


def test_needs_names_what_has_to_be_looked_up() -> None:
    flat = Rule(id="w", kind="flat", points=Fraction(1), limit=Limit(budget_points=5))
    capped = msgspec.structs.replace(BASE, limit=Limit(per_purchase_points=50))
    found = needs(program(capped, flat, multiplier("b", "2", when=When(birthday="day"))))
    assert (found.counters, found.birthday, found.first_purchase) == (True, True, False)
    assert (found.limited, found.budgeted) == ((), ("w",))
