"""Redeeming: whole steps, the least, the share of the basket; refused and never trimmed."""

from fractions import Fraction

import pytest

from loyalty.errors import InsufficientPoints, RedemptionNotAllowed
from loyalty.program.model import RedemptionPolicy
from loyalty.rules.redeem import amount_for_points, check_redemption, max_points, points_for_amount

POLICY = RedemptionPolicy(
    points=100, amount=100, min_points=200, step_points=100, max_basket_share=Fraction(1, 2)
)


@pytest.mark.parametrize(
    ("available", "basket", "most"),
    [
        (1_050, None, 1_000),
        (1_050, 1_000, 500),
        (1_050, 999, 400),
        (199, None, 0),
        (1_050, 399, 0),
        (-5, None, 0),
    ],
)
def test_the_most_is_in_whole_steps_within_share_and_least(
    available: int, basket: int | None, most: int
) -> None:
    assert max_points(POLICY, available, basket) == most
    if most:
        assert check_redemption(POLICY, most, available, basket) == most


@pytest.mark.parametrize(
    ("points", "rule"),
    [
        (0, "points"),
        (-100, "points"),
        (250, "step_points"),
        (100, "min_points"),
        (600, "max_basket_share"),
        (9_900, "max_basket_share"),
    ],
)
def test_a_broken_rule_is_named_with_what_would_be_allowed(points: int, rule: str) -> None:
    with pytest.raises(RedemptionNotAllowed) as refused:
        check_redemption(POLICY, points, 5_000, 1_000)
    assert refused.value.facts == {"rule": rule, "max_points": 500}


def test_the_least_and_all_that_is_there_may_be_redeemed() -> None:
    assert max_points(POLICY, 200, None) == 200
    assert check_redemption(POLICY, 200, 200, None) == 200


def test_missing_points_are_told_when_every_rule_is_kept() -> None:
    with pytest.raises(InsufficientPoints) as refused:
        check_redemption(POLICY, 500, 450, 1_000)
    assert refused.value.facts == {"available": 450, "missing": 50}


def test_an_amount_must_be_exactly_some_steps() -> None:
    assert points_for_amount(POLICY, 300) == 300
    with pytest.raises(RedemptionNotAllowed) as refused:
        points_for_amount(POLICY, 350, available=1_000)
    assert refused.value.facts == {"rule": "step_points", "max_points": 1_000}
    thirds = RedemptionPolicy(points=1, amount=3)
    assert points_for_amount(thirds, 6) == 2
    with pytest.raises(RedemptionNotAllowed):
        points_for_amount(thirds, 7)


def test_without_a_policy_nothing_is_redeemed() -> None:
    assert max_points(None, 1_000, None) == 0
    with pytest.raises(RedemptionNotAllowed):
        check_redemption(None, 100, 1_000, None)


def test_points_are_never_taken_for_nothing() -> None:
    cheap = RedemptionPolicy(points=100, amount=1)
    assert amount_for_points(cheap, 199) == 1
    assert max_points(cheap, 99, None) == 0
    with pytest.raises(RedemptionNotAllowed):
        check_redemption(cheap, 99, 1_000, None)
    # 100 points pay the basket of 0.01; a hundred more would not be needed.
    assert max_points(cheap, 1_000, 1) == 100
