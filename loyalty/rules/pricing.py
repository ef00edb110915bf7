"""What members pay less: the discounts of a basket's lines. Pure: values in, values out.

A discount is advice to the till, told with a quote: what is recorded as paid is what the till sends. Of several on a
line the highest counts. It is a percentage of the line before any reduction, rounded down once, less what the line was
reduced by already (DESIGN.md section 4, Discounts).
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from loyalty.calendar import calendar_of
from loyalty.program.model import Benefits, Discount, Program
from loyalty.rules.conditions import Basket, Setting, basket_test, shared_test
from loyalty.rules.facts import Facts
from loyalty.rules.selectors import line_test
from loyalty.types import PurchaseLine


class LineDiscount(Struct, frozen=True):
    """`amount` off a line, in minor units and above 0: by the discount of that id, or by that tier's own."""

    line: int
    percent: int | Decimal
    amount: int
    discount: str | None = None
    tier: str | None = None


class _Ready:
    """A discount ready to be asked about many baskets."""

    __slots__ = ("basket_test", "discount", "line_test", "order", "shared_test")

    def __init__(self, discount: Discount, order: int) -> None:
        self.discount = discount
        self.order = order
        self.shared_test = shared_test(discount)
        self.basket_test = basket_test(discount)
        self.line_test = line_test(discount.where)

    def holds(self, setting: Setting, basket: Basket) -> bool:
        shared, own = self.shared_test, self.basket_test
        return (shared is None or shared(setting)) and (own is None or own(basket))


class Pricing:
    """The discounts of a program, those of goods found by the goods."""

    def __init__(self, program: Program) -> None:
        self._calendar = calendar_of(program.time_zone)
        self._exclude = line_test(program.points.exclude)
        self._benefits = {tier.id: tier.benefits for tier in program.tiers}
        self._everywhere: list[_Ready] = []
        self._by_sku: dict[str, list[_Ready]] = defaultdict(list)
        for order, discount in enumerate(program.discounts):
            ready = _Ready(discount, order)
            skus = discount.where.sku if discount.where is not None else None
            for sku in skus or ():
                self._by_sku[sku].append(ready)
            if skus is None:
                self._everywhere.append(ready)

    def benefits(self, tier: str) -> Benefits:
        """What members of a tier get besides points; nothing, of a tier that the program does not know."""
        return self._benefits.get(tier, Benefits())

    def discounts(self, lines: Sequence[PurchaseLine], facts: Facts) -> list[LineDiscount]:
        """What each line costs less; lines without a discount are left out.

        Args:
            lines: the basket, each line with its number. `list_amount`, where it is above `amount`, is the line before
                it was reduced.
            facts: as of the purchase; what is redeemed on it does not matter here.
        """
        priced = lines if self._exclude is None else [line for line in lines if not self._exclude(line)]
        setting = Setting(self._calendar.day(facts.occurred_at), facts.channel, facts.store, facts.tier)
        basket = Basket(self._calendar.zone, facts, sum(line.amount for line in priced), 1, len(priced))
        in_force: dict[int, bool] = {}
        of_tier = self.benefits(facts.tier).discount_percent or 0
        found = []
        for line in priced:
            best: Discount | None = None
            for ready in sorted((*self._by_sku.get(line.sku, ()), *self._everywhere), key=_order):
                if ready.order not in in_force:
                    in_force[ready.order] = ready.holds(setting, basket)
                if (
                    in_force[ready.order]
                    and (best is None or ready.discount.percent > best.percent)
                    and (ready.line_test is None or ready.line_test(line))
                ):
                    best = ready.discount
            if best is not None and best.percent > of_tier:
                found.append(LineDiscount(line.line or 0, best.percent, _off(line, best.percent), best.id))
            elif of_tier:
                found.append(LineDiscount(line.line or 0, of_tier, _off(line, of_tier), tier=facts.tier))
        return [discount for discount in found if discount.amount]


def _order(ready: _Ready) -> int:
    return ready.order


def _off(line: PurchaseLine, percent: int | Decimal) -> int:
    """Minor units off the line, beyond what it was reduced by already."""
    before = max(line.list_amount or 0, line.amount)
    off = Fraction(percent) * before / 100
    return max(off.numerator // off.denominator - (before - line.amount), 0)


def discounted(lines: Sequence[PurchaseLine], discounts: Sequence[LineDiscount]) -> tuple[PurchaseLine, ...]:
    """The lines as they are paid for with these discounts."""
    off = {discount.line: discount.amount for discount in discounts}
    return tuple(
        PurchaseLine(
            line.sku, line.amount - off[line.line], line.line, line.quantity,
            max(line.list_amount or 0, line.amount), line.category, line.tags,
        )
        if line.line in off
        else line
        for line in lines
    )  # fmt: skip
