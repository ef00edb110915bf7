"""A basket as files hold it, with discount lines, coupons and voids, turned into lines that were paid. Pure.

A till writes a voided article as a line with negative quantity, a discount as a line with a negative amount,
and a coupon beside its line, sometimes worth more than it. Points are earned on what was paid, and a later
return pays back what was paid, so each of them has to end up on the goods.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from loyalty.types import PurchaseLine


class BasketLine(Struct):
    """One line of the file. Amounts in minor units; `coupon` and `discount` are what they take off."""

    number: int | None
    sku: str
    category: str | None
    quantity: int | Decimal
    amount: int
    coupon: int = 0
    discount: int = 0


def net(lines: Sequence[BasketLine]) -> tuple[PurchaseLine, ...]:
    """The lines as paid: none below zero, the same total; all zero where coupons exceed the basket.

    Voids are taken off lines of their SKU, the last first. What then is below zero is spread over the other
    lines in proportion, to the minor unit. Raises ValueError when the lines sum below zero before coupons.
    """
    kept = [line for line in lines if not (line.quantity < 0 and _void(line, lines))]
    total = sum(line.amount for line in kept)
    if total < 0:
        raise ValueError("the document's lines sum below zero: that is a return, not a purchase")
    paid = [line.amount - line.coupon for line in kept]
    missing = -sum(amount for amount in paid if amount < 0)
    if missing:
        paid = _spread(paid, missing)
    return tuple(
        PurchaseLine(
            sku=line.sku,
            amount=amount,
            line=line.number,
            quantity=max(0, line.quantity),
            list_amount=_list_amount(line, amount),
            category=line.category,
        )
        for line, amount in zip(kept, paid, strict=True)
    )


def _void(void: BasketLine, lines: Sequence[BasketLine]) -> bool:
    """Take `void` off the lines of its SKU; False when they cannot bear it whole."""
    goods = [line for line in lines if line.sku == void.sku and line.quantity > 0 and line.amount >= 0]
    if (
        sum(line.quantity for line in goods) < -void.quantity
        or sum(line.amount for line in goods) < -void.amount
    ):
        return False
    quantity, amount = -void.quantity, -void.amount
    for line in sorted(goods, key=lambda line: line.number or 0, reverse=True):
        less_quantity, less_amount = min(quantity, line.quantity), min(amount, line.amount)
        line.quantity -= less_quantity
        line.amount -= less_amount
        line.discount = 0
        quantity -= less_quantity
        amount -= less_amount
    return True


def _spread(paid: Sequence[int], missing: int) -> list[int]:
    """`missing` taken off the amounts above zero in proportion; those below become zero."""
    total = sum(amount for amount in paid if amount > 0)
    left = max(0, total - missing)
    before = spread = 0
    amounts = []
    for amount in paid:
        before += max(0, amount)
        after = before * left // total if total else 0
        amounts.append(after - spread)
        spread = after
    return amounts


def _list_amount(line: BasketLine, amount: int) -> int | None:
    listed = line.amount + line.discount
    return listed if line.amount >= 0 and listed > amount else None
