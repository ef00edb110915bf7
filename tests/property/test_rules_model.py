"""The judge against the model of DESIGN.md section 4, and what must always hold."""

from fractions import Fraction
from math import floor
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.program.model import PointsPolicy, Rule
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts, JudgedLine, Used, UsedBefore
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
from tests.simulation import model_rules


@settings(max_examples=400)
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
    asked = UsedBefore()
    asked.look = lambda rule: facts.used.get(rule, Used())
    judge = compile_program(program)
    award = judge.judge(basket, msgspec.structs.replace(facts, used=asked))
    again = judge.judge(basket, msgspec.structs.replace(facts, used=dict(asked)))
    assert explain(again) == explain(award), "what was asked is all that needs to be recorded"
    goods, theirs = [goods_of(line) for line in basket], model_facts(rules, facts)
    wanted = model_rules.judge(program, goods, theirs)
    found: dict[str, dict[int | None, Fraction]] = {}
    for row in explain(award):
        of_rule = found.setdefault(row.rule, {})
        assert row.line not in of_rule, "one row for each rule and line"
        of_rule[row.line] = Fraction(row.points)
    shares = {rule: {line: part for line, part in parts.items() if part} for rule, parts in found.items()}
    assert {rule: parts for rule, parts in shares.items() if parts} == wanted.shares
    assert (award.points, award.total, award.base_amount) == (wanted.points, wanted.total, wanted.base)
    assert award.metric_amount == floor(wanted.base)
    assert award.charges == {name: (1, points) for name, points in wanted.charges.items()}
    winners = model_rules.Judge(program, goods, theirs).winners()
    assert {rule.id for rule in winners if model_rules.is_counted(rule)} <= asked.keys()


def goods_of(line: JudgedLine) -> model_rules.Goods:
    """A line as the model has it."""
    assert line.line is not None
    quantity = Fraction(line.quantity)
    return model_rules.Goods(line.line, line.sku, line.amount, quantity, line.category, line.tags)


def model_facts(rules: tuple[Rule, ...], facts: Facts) -> model_rules.Facts:
    """The facts as the model has them: what was used of budgets, not what is left."""
    used = {}
    for rule in rules:
        if (one := facts.used.get(rule.id)) is not None:
            budget = rule.limit.budget_points if rule.limit else None
            gone = 0 if budget is None or one.budget_left is None else budget - one.budget_left
            used[rule.id] = model_rules.Used(one.times, one.times_day, one.points, gone)
    paid = 1 - Fraction(facts.redeemed_amount, facts.basket_amount or 1)
    return model_rules.Facts(
        facts.occurred_at,
        facts.channel,
        facts.store,
        facts.tier,
        facts.first_purchase,
        facts.birthday,
        paid,
        used,
    )


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


@given(rule_lists, lines)
def test_a_basket_paid_with_points_earns_nothing_on_spend(
    rules: tuple[Rule, ...], basket: list[JudgedLine]
) -> None:
    spending = tuple(rule for rule in rules if rule.kind in ("spend", "multiplier"))
    facts = facts_of(basket, Fraction(1), False, {})
    if facts.basket_amount:
        assert compile_program(program_of(spending, PointsPolicy())).judge(basket, facts).total == 0


@given(rule_lists, policies, part)
def test_a_full_return_keeps_nothing(
    rules: tuple[Rule, ...], points: PointsPolicy, redeemed: Fraction
) -> None:
    sold = [JudgedLine(1, "A", 1, 1_000)]
    award = compile_program(program_of(rules, points)).judge([], facts_of(sold, redeemed, True, {}))
    assert (award.points, award.metric_amount, award.charges, explain(award)) == (0, 0, {}, [])


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
