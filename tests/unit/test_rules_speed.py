"""A basket's cost depends on the rules that can touch it, not on how many there are (docs/PROGRAMS.md)."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from bench.rules_bench import EXAMPLE, FACTS, basket_of, best, with_sku_rules
from loyalty.backtest.books import ReplayBook, ReplayContext
from loyalty.engine.programs import BEGINNING, Programs, compiled
from loyalty.engine.record import record_purchase
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program
from loyalty.types import Purchase


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


@pytest.mark.parametrize("limit", ["per_member = 3", "per_member_day = 3", "budget_points = 1000000"])
def test_nor_do_thousands_with_limits(limit: str) -> None:
    few, all_ = recorder(10, limit), recorder(2_000, limit)
    ratios = []
    for _ in range(3):
        costs = [best(record, 5, 100) for record in (few, all_)]
        ratios.append(costs[1] / costs[0])
    assert min(ratios) <= 1.5, ratios


def recorder(rules: int, limit: str) -> Callable[[], object]:
    """Records one purchase again and again in a book of its own, by a program with so many limited SKU rules."""
    text = EXAMPLE + "".join(
        f"""
        [[rules]]
        id = "sku-{number}"
        kind = "units"
        points = 1
        where = {{ sku = ["SKU-{number}"] }}
        limit = {{ {limit} }}
        """
        for number in range(rules)
    )
    programs = Programs([compiled(1, BEGINNING, text, "toml", None, None, BEGINNING)])
    context = ReplayContext(FACTS.occurred_at, programs)
    book = ReplayBook(1, programs.idle_deadline, context.journal)
    book.at(context.now)
    context.books[1], context.history[1] = book, []
    basket = basket_of(random.Random(7))
    purchase = Purchase("p", "m", FACTS.occurred_at, FACTS.channel, basket, FACTS.store)

    def record() -> None:
        record_purchase(context, book, purchase, b"")
        assert (1, "sku-3", FACTS.occurred_at.date()) in context.counted
        book.lots.clear()
        context.counted.clear()
        for rows in (context.journal.postings, context.journal.entries, context.journal.lots):
            rows.clear()

    return record
