"""Whether it matters in which order the accounts of a file are posted: only to who gets the last of a budget. Pure."""

from collections.abc import Iterable, Mapping
from math import ceil

from loyalty.program.model import Limit, Program, Rule


def order_matters(
    programs: Iterable[Program], used: Mapping[str, int], *, purchases: int, members: int, returns: bool
) -> bool:
    """Whether a budget may run out within so many purchases of so many members.

    used: points of each budget that were given before. returns: whether returns may give back to a budget that is
    used up.
    """
    for program in programs:
        for rule in program.rules:
            if rule.limit is None or rule.limit.budget_points is None:
                continue
            left = rule.limit.budget_points - used.get(rule.id, 0)
            most = _most(rule, rule.limit, purchases, members)
            if (left > 0 or returns) and (most is None or most > left):
                return True
    return False


def _most(rule: Rule, limit: Limit, purchases: int, members: int) -> int | None:
    """Points that a rule can take from its budget; None where nothing but the budget bounds it."""
    bounds = []
    if limit.per_member_points is not None:
        bounds.append(limit.per_member_points * members)
    once = limit.per_purchase_points
    if once is None and rule.kind == "flat" and rule.points is not None:
        once = ceil(rule.points)
    if once is not None:
        times = purchases if limit.per_member is None else min(purchases, limit.per_member * members)
        bounds.append(once * times)
    return min(bounds, default=None)
