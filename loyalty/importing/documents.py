"""One unit of a file's rows becomes one request, or a reason why not. Pure: rows in, values out.

What the rows may hold and what is made of it: docs/IMPORT.md.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from decimal import Decimal

from msgspec import Struct

from loyalty.currency import minor_units
from loyalty.engine.validate import validate
from loyalty.errors import InvalidRequest
from loyalty.importing import values
from loyalty.importing.netting import BasketLine, net
from loyalty.importing.source import DOCUMENT_COLUMNS, Row
from loyalty.importing.stage import PURCHASE, Unit
from loyalty.importing.values import BadRowError, Rejected
from loyalty.types import Purchase, PurchaseLine, Return, ReturnLine, UnlinkedReturn

PLACE = {name: place for place, name in enumerate(DOCUMENT_COLUMNS)}
_KIND, _MEMBER, _AT, _CHANNEL = PLACE["kind"], PLACE["member_ref"], PLACE["occurred_at"], PLACE["channel"]
_STORE, _TERMINAL, _LINE, _SKU = PLACE["store"], PLACE["terminal"], PLACE["line"], PLACE["sku"]
_CATEGORY, _QUANTITY, _PRICE = PLACE["category"], PLACE["quantity"], PLACE["unit_price"]
_AMOUNT, _DISCOUNT, _COUPON = PLACE["line_amount"], PLACE["discount"], PLACE["coupon"]
_ORIGINAL_LINE = PLACE["original_line"]


class Built(Struct, frozen=True):
    """A request, the member it is for, and the line numbers of its rows."""

    request: Purchase | Return | UnlinkedReturn
    member: str
    occurred_at: datetime
    lines: list[int]


class Builder:
    """Makes requests of units. `digits`: of the currency's minor unit; `zone`: for times without offset."""

    def __init__(self, digits: int, zone: tzinfo | None = None) -> None:
        self._digits = digits
        self._zone = zone

    def build(self, unit: Unit, *, unlinked: bool = False) -> Built | Rejected | None:
        """The unit's request; None when it is anonymous.

        unlinked: a return is taken as if it named no purchase, under the id that it would have had.
        """
        lines = [values.line_number(row) for row in unit.rows]
        request: Purchase | Return | UnlinkedReturn
        try:
            member, occurred_at = self._head(unit)
            if member is None:
                return None
            if unit.kind == PURCHASE:
                request = self._purchase(unit, member, occurred_at)
            elif unit.original and not unlinked:
                request = self._return(unit, occurred_at)
            else:
                request = self._unlinked(unit, member, occurred_at)
            validate(request)
        except BadRowError as bad:
            return Rejected(bad.reason, bad.detail, lines)
        except InvalidRequest as invalid:
            return Rejected(invalid.code, invalid.detail, lines)
        return Built(request, member, occurred_at, lines)

    def _head(self, unit: Unit) -> tuple[str | None, datetime]:
        """The unit's member, None when anonymous, and its earliest time."""
        first = unit.rows[0]
        if not unit.id:
            raise BadRowError(
                "purchase_id is missing", first, "each row needs the purchase_id of its document"
            )
        values.check_request_id(first, f"{unit.id}/{unit.original}" if unit.original else unit.id)
        times: dict[str, datetime] = {}
        for row in unit.rows:
            values.check_shape(row)
            if row[_KIND].lower() not in ("purchase", "return", ""):
                raise BadRowError("kind is unknown", row, f"kind {row[_KIND]!r} must be purchase or return")
            if row[_MEMBER] != first[_MEMBER]:
                raise BadRowError(
                    "several members",
                    row,
                    f"member_ref {row[_MEMBER]!r} differs from {first[_MEMBER]!r} before",
                )
            if row[_AT] not in times:
                times[row[_AT]] = values.instant_of(row, _AT, "occurred_at", self._zone)
        occurred_at = min(times.values())
        ref = first[_MEMBER].strip()
        if not ref:
            return None, occurred_at
        member = values.member_name(ref)
        if member is None:
            raise BadRowError(
                "member_ref is unusable",
                first,
                f"member_ref {ref!r} fits neither member_id nor an ext: identifier",
            )
        return member, occurred_at

    def _purchase(self, unit: Unit, member: str, occurred_at: datetime) -> Purchase:
        rows = self._numbered(unit.rows)
        first = rows[0][1]
        for _, row in rows:
            if row[_CHANNEL] != first[_CHANNEL] or row[_STORE] != first[_STORE]:
                raise BadRowError(
                    "several channels or stores", row, f"channel or store differs from line {first[-1]}"
                )
        channel = values.text_of(first, _CHANNEL, "channel")
        if not channel:
            raise BadRowError("channel is missing", first, "channel is empty; --set channel=pos gives one")
        try:
            lines = net([self._basket_line(number, row) for number, row in rows])
        except ValueError as e:
            raise BadRowError("total is below zero", first, str(e)) from None
        return Purchase(
            purchase_id=unit.id,
            member=member,
            occurred_at=occurred_at,
            channel=channel,
            lines=lines,
            store=values.text_of(first, _STORE, "store") or None,
            terminal=values.text_of(first, _TERMINAL, "terminal") or None,
        )

    def _basket_line(self, number: int | None, row: Row) -> BasketLine:
        quantity = values.quantity_of(row, _QUANTITY)
        amount = self._amount(row)
        if amount is None:
            raise BadRowError("line_amount is missing", row, "no line_amount, nor quantity and unit_price")
        if quantity is None:
            quantity = 1
        if quantity < 0 < amount:
            raise BadRowError("signs disagree", row, f"quantity {row[_QUANTITY]}, line_amount {row[_AMOUNT]}")
        coupon = values.money_of(row, _COUPON, "coupon", self._digits) if row[_COUPON] else 0
        if coupon < 0:
            raise BadRowError("coupon is negative", row, f"coupon {row[_COUPON]}: give what it takes off")
        discount = abs(values.money_of(row, _DISCOUNT, "discount", self._digits)) if row[_DISCOUNT] else 0
        category = values.text_of(row, _CATEGORY, "category") or None
        return BasketLine(number, _sku(row), category, quantity, amount, coupon, discount)

    def _return(self, unit: Unit, occurred_at: datetime) -> Return:
        lines: dict[int, ReturnLine] = {}
        for row in unit.rows:
            number = values.line_of(row, _ORIGINAL_LINE, "original_line")
            if number is None:
                raise BadRowError(
                    "original_line is missing", row, f"say which line of purchase {unit.original} came back"
                )
            quantity, amount = self._brought_back(row)
            if quantity is None and amount is None:
                raise BadRowError("line_amount is missing", row, "neither quantity nor line_amount")
            before = lines.get(number)
            if before is not None:
                if (before.quantity is None) != (quantity is None) or (before.amount is None) != (
                    amount is None
                ):
                    raise BadRowError(
                        "values differ in kind", row, f"line {number} came before with other values"
                    )
                quantity = None if quantity is None else quantity + (before.quantity or 0)
                amount = None if amount is None else amount + (before.amount or 0)
            lines[number] = ReturnLine(line=number, quantity=quantity, amount=amount)
        ordered = tuple(lines[number] for number in sorted(lines))
        return Return(f"{unit.id}/{unit.original}", unit.original, occurred_at, ordered)

    def _unlinked(self, unit: Unit, member: str, occurred_at: datetime) -> UnlinkedReturn:
        lines = []
        for number, row in self._numbered(unit.rows):
            quantity, amount = self._brought_back(row)
            if amount is None:
                raise BadRowError(
                    "line_amount is missing", row, "without a known purchase, line_amount is needed"
                )
            lines.append(
                PurchaseLine(
                    sku=_sku(row),
                    amount=amount,
                    line=number,
                    quantity=1 if quantity is None else quantity,
                    category=values.text_of(row, _CATEGORY, "category") or None,
                )
            )
        return_id = f"{unit.id}/{unit.original}" if unit.original else unit.id
        return UnlinkedReturn(return_id, member, occurred_at, tuple(lines))

    def _brought_back(self, row: Row) -> tuple[int | Decimal | None, int | None]:
        """Quantity and amount of a return's row without their sign; both bear it or neither does."""
        quantity, amount = values.quantity_of(row, _QUANTITY), self._amount(row)
        if quantity and amount and (quantity < 0) != (amount < 0):
            raise BadRowError("signs disagree", row, f"quantity {row[_QUANTITY]}, line_amount {row[_AMOUNT]}")
        if quantity is not None and quantity < 0:
            quantity = -quantity
        return quantity, None if amount is None else abs(amount)

    def _numbered(self, rows: Sequence[Row]) -> list[tuple[int | None, Row]]:
        """The rows by their line numbers, or as they stand where they carry none."""
        numbered = [(values.line_of(row, _LINE, "line"), row) for row in rows]
        seen: dict[int, Row] = {}
        for number, row in numbered:
            if number is not None and seen.setdefault(number, row) is not row:
                where = values.line_number(seen[number])
                raise BadRowError("line number twice", row, f"line number {number} is in line {where} too")
        if len(seen) == len(rows):
            numbered.sort(key=lambda pair: pair[0] or 0)
        return numbered

    def _amount(self, row: Row) -> int | None:
        if row[_AMOUNT]:
            return values.money_of(row, _AMOUNT, "line_amount", self._digits)
        quantity = values.quantity_of(row, _QUANTITY)
        if not row[_PRICE] or quantity is None:
            return None
        try:
            return minor_units(str(Decimal(row[_PRICE]) * quantity), self._digits)
        except (ArithmeticError, ValueError):
            raise BadRowError("unit_price is no number", row, f"unit_price is {row[_PRICE]!r}") from None


def _sku(row: Row) -> str:
    sku = values.text_of(row, _SKU, "sku")
    if not sku:
        raise BadRowError("sku is missing", row, "sku is empty")
    return sku
