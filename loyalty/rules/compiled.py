"""A rule made ready for judging: its numbers over the program's common scale, its conditions as closures."""

from collections.abc import Iterable
from fractions import Fraction
from math import lcm

from loyalty.program.model import Limit, Program, Rule
from loyalty.rules.conditions import basket_test, shared_test
from loyalty.rules.exact import Exact, simplest
from loyalty.rules.selectors import line_test

_LARGEST_SCALE = 10**15


class Compiled:
    """One rule. `rate`: points per minor unit, unit or purchase, by scale. A factor adds `gain / gain_per`."""

    __slots__ = (
        "basket_test",
        "by_store",
        "counted",
        "gain",
        "gain_per",
        "group",
        "id",
        "kind",
        "limit",
        "line_test",
        "order",
        "per_amount",
        "rate",
        "shared_test",
    )

    def __init__(self, rule: Rule, order: int, scale: int, known: str) -> None:
        gain = (rule.factor or Fraction(1)) - 1
        limit = rule.limit
        self.id = rule.id
        self.kind = rule.kind
        self.order = order
        self.group = rule.group
        self.limit: Limit | None = limit
        self.counted = limit is not None and limit != Limit(per_purchase_points=limit.per_purchase_points)
        self.by_store = rule.when is not None and rule.when.store is not None
        self.per_amount = rule.per_amount if rule.whole_steps else None
        self.rate: Exact = simplest(_rate(rule) * scale)
        self.gain = gain.numerator
        self.gain_per = gain.denominator
        self.line_test = line_test(rule.where, known)
        self.shared_test = shared_test(rule)
        self.basket_test = basket_test(rule)


def _rate(rule: Rule) -> Fraction:
    points = rule.points or Fraction(0)
    if rule.kind == "spend" and not rule.whole_steps:
        return points / (rule.per_amount or 1)
    return points


def common_scale(program: Program) -> int:
    """One denominator for all rates and gains of the program, so that a usual basket needs only integers.

    A power of ten where that is possible: then shares are decimals. It has a bound; a rule whose denominator
    would break it is judged with fractions instead, just as exactly.
    """
    rates = _bounded_lcm((_rate(rule).denominator for rule in program.rules), _LARGEST_SCALE)
    gains = [rule.factor.denominator for rule in program.rules if rule.factor is not None]
    scale = rates * _bounded_lcm(gains, max(1, _LARGEST_SCALE // rates))
    ten = 10
    while ten < scale or ten % scale:
        if ten > _LARGEST_SCALE:
            return scale
        ten *= 10
    return ten if scale > 1 else 1


def _bounded_lcm(denominators: Iterable[int], bound: int) -> int:
    common = 1
    for denominator in denominators:
        wider = lcm(common, denominator)
        if wider <= bound:
            common = wider
    return common
