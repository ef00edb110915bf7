"""The judge against the model of DESIGN.md section 4, and what must always hold."""

from fractions import Fraction
from math import ceil, floor
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.program.model import Limit, PointsPolicy, Rule
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts, JudgedLine, Used
from tests.property.rules_drawn import (
    circumstances,
    facts_of,
    lines,
    part,
    policies,
    program_of,
    rule_lists,
    uses,
)
from tests.property.rules_model import Model, Shares, total_of


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
    for row in explain(award):
        key = (row.rule, row.line)
        assert key not in found, "one row for each rule and line"
        found[key] = Fraction(row.points)
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
    assert award.points + award.rounding == award.total
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
    assert {(row.rule, row.line, row.points) for row in explain(one)} == {
        (row.rule, row.line, row.points) for row in explain(other)
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
    assert (award.points, award.metric_amount, award.charges, explain(award)) == (0, 0, {}, [])


@settings(deadline=None)
@given(rule_lists, policies, lines)
def test_memory_of_earlier_baskets_changes_nothing(
    rules: tuple[Rule, ...], points: PointsPolicy, basket: list[JudgedLine]
) -> None:
    facts = facts_of(basket, Fraction(0), False, {})
    used_before = compile_program(program_of(rules, points))
    for tier in ("gold", "ordinary"):
        used_before.judge(basket, msgspec.structs.replace(facts, tier=tier))
    one = used_before.judge(basket, facts)
    other = compile_program(program_of(rules, points)).judge(basket, facts)
    assert (one.points, one.total, one.charges, explain(one)) == (
        other.points,
        other.total,
        other.charges,
        explain(other),
    )
