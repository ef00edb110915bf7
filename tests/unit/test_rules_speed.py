"""A basket's cost depends on the rules that can touch it, not on how many there are (docs/PROGRAMS.md)."""

import random
from functools import partial

import pytest

from bench.rules_bench import FACTS, basket_of, best, with_sku_rules
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program


@pytest.mark.parametrize("many", [1_000, 10_000])
def test_thousands_of_sku_rules_cost_a_basket_no_more_than_half_as_much_again_as_ten(many: int) -> None:
    basket = basket_of(random.Random(7))
    few, all_ = compile_program(with_sku_rules(10)), compile_program(with_sku_rules(many))
    one, other = few.judge(basket, FACTS), all_.judge(basket, FACTS)
    assert explain(one) == explain(other), "ten of the SKUs are in the basket"
    ratios = []
    for _ in range(3):  # CPU time, and the best of three: others are at work on the machine
        costs = [best(partial(judge.judge, basket, FACTS), 20, 100) for judge in (few, all_)]
        ratios.append(costs[1] / costs[0])
    assert min(ratios) <= 1.5, ratios
