"""Points into money: what may be redeemed, and what it is worth (DESIGN.md section 4, Redeeming).

A point's worth is exact; what is paid out is whole minor units, so a fraction of one is dropped.
"""

from loyalty.errors import InsufficientPoints, RedemptionNotAllowed
from loyalty.program.model import RedemptionPolicy


def amount_for_points(policy: RedemptionPolicy | None, points: int) -> int:
    """What points are worth in minor units, floored; nothing where the program lets nobody redeem."""
    return points * policy.amount // policy.points if policy else 0


def max_points(policy: RedemptionPolicy | None, available: int, basket_amount: int | None) -> int:
    """The most points that may be redeemed now, in whole steps; 0 when that is below the minimum.

    Args:
        available: points that the member can spend; a debt makes it negative.
        basket_amount: what the basket costs in minor units; None: its share is not checked.
    """
    if policy is None:
        return 0
    most = max(0, available)
    if basket_amount is not None:
        most = min(most, _share_points(policy, basket_amount))
    most -= most % policy.step_points
    return most if most >= policy.min_points and amount_for_points(policy, most) else 0


def points_for_amount(
    policy: RedemptionPolicy | None,
    amount: int,
    available: int | None = None,
    basket_amount: int | None = None,
) -> int:
    """The points that are worth exactly `amount`, a number of whole steps.

    `available` and `basket_amount` only serve the refusal, so that it can say `max_points`.

    Errors:
        RedemptionNotAllowed: rule `step_points` when no whole number of steps is worth exactly this.
    """
    if policy is None:
        raise _no_redemption()
    points, rest = divmod(amount * policy.points, policy.amount)
    if rest or points % policy.step_points:
        raise _refused(
            "step_points",
            f"no whole number of steps of {policy.step_points} points is worth exactly {amount}",
            max_points(policy, available, basket_amount) if available is not None else None,
        )
    return points


def check_redemption(
    policy: RedemptionPolicy | None, points: int, available: int, basket_amount: int | None
) -> int:
    """Refuses what may not be redeemed and returns what the points are worth, in minor units.

    The program's rules come first and insufficiency last: `max_points` of the former counts what is available
    too, so a till that asks again with it succeeds; `missing` points would send it into the next refusal.

    Errors:
        RedemptionNotAllowed: rule `redemption` (there is none), `points` (not above zero, or worth nothing),
            `step_points`, `min_points` or `max_basket_share`, with `max_points`.
        InsufficientPoints: all rules are kept and points are missing; `available`, `missing`.
    """
    if policy is None:
        raise _no_redemption()
    most = max_points(policy, available, basket_amount)
    worth = amount_for_points(policy, points)
    if points <= 0:
        raise _refused("points", f"{points} points cannot be redeemed: it takes at least one", most)
    if points % policy.step_points:
        raise _refused(
            "step_points", f"{points} points are no whole number of steps of {policy.step_points}", most
        )
    if points < policy.min_points:
        raise _refused("min_points", f"{points} points are below the least of {policy.min_points}", most)
    if worth == 0:
        raise _refused("points", f"{points} points are worth nothing yet", most)
    if basket_amount is not None and points > _share_points(policy, basket_amount):
        raise _refused(
            "max_basket_share",
            f"{points} points are more than may pay for a basket of {basket_amount}: at most {most}",
            most,
        )
    if points > available:
        spendable = max(0, available)
        raise InsufficientPoints(
            f"{points} points were asked for and {spendable} are available",
            available=spendable,
            missing=points - spendable,
        )
    return worth


def _share_points(policy: RedemptionPolicy, basket_amount: int) -> int:
    """Points whose exact worth fits the share of the basket; more would be taken without being needed."""
    share = policy.max_basket_share
    payable = basket_amount * share.numerator // share.denominator
    return payable * policy.points // policy.amount


def _refused(rule: str, detail: str, most: int | None) -> RedemptionNotAllowed:
    if most is None:
        return RedemptionNotAllowed(detail, rule=rule)
    return RedemptionNotAllowed(detail, rule=rule, max_points=most)


def _no_redemption() -> RedemptionNotAllowed:
    return _refused("redemption", "the program has no [redemption]: points cannot be redeemed", 0)
