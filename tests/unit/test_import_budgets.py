"""When the order of accounts matters in an import: only while a budget may run out."""

import pytest

from loyalty.importing.budgets import order_matters
from loyalty.program.parse import parse
from tests.builders import BASE, program
from tests.integration.test_limits import flat

SPEND = BASE.replace('"base"', '"spent"')


@pytest.mark.parametrize(
    ("rules", "matters"),
    [
        (BASE, False),
        (BASE + flat("a", 10), False),
        (flat("a", 10, "per_member = 1"), False),
        # 100 purchases of 20 members: 10 each time are 1,000, once a member 200
        (flat("a", 10, "budget_points = 999"), True),
        (flat("a", 10, "budget_points = 1000"), False),
        (flat("a", 10, "budget_points = 199, per_member = 1"), True),
        (flat("a", 10, "budget_points = 200, per_member = 1"), False),
        (flat("a", 10, "budget_points = 60, per_member_points = 3"), False),
        (flat("a", 10, "budget_points = 59, per_member_points = 3"), True),
        (SPEND + "limit = { budget_points = 1000000000 }", True),
        (SPEND + "limit = { budget_points = 500, per_purchase_points = 5 }", False),
        (SPEND + "limit = { budget_points = 499, per_purchase_points = 5 }", True),
    ],
)
def test_a_budget_that_cannot_run_out_gives_every_order_the_same(rules: str, matters: bool) -> None:
    parsed = parse(program(rules=rules), "toml").program
    assert parsed is not None
    assert order_matters([parsed], {}, purchases=100, members=20, returns=False) is matters


@pytest.mark.parametrize(("used", "returns", "matters"), [
    (400, False, True), (500, False, False), (500, True, True), (600, False, False),
])  # fmt: skip
def test_a_budget_that_has_run_out_gives_nobody_anything_unless_goods_come_back(
    used: int, returns: bool, matters: bool
) -> None:
    parsed = parse(program(rules=flat("a", 10, "budget_points = 500")), "toml").program
    assert parsed is not None
    found = order_matters([parsed], {"a": used}, purchases=100, members=100, returns=returns)
    assert found is matters
