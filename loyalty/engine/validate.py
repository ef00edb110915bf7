"""What a single request must satisfy beyond the constraints that its struct states (DESIGN.md 5). Pure.

API and CLI call it after decoding, so that the engine is only given requests that mean something.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from loyalty.errors import FieldError, InvalidRequest
from loyalty.members.identity import parse_reference
from loyalty.members.text import check_text
from loyalty.types import (
    MAX_AMOUNT,
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Engagement,
    Purchase,
    PurchaseLine,
    Quantity,
    Redemption,
    Release,
    Request,
    Return,
    ReturnLine,
    Reversal,
    UnlinkedReturn,
)

MAX_LINES = 5_000
"""Lines of one basket."""
MAX_QUANTITY = 1_000_000_000
MAX_DECIMALS = 6
"""Places of a quantity after the point: grams of tonnes."""
FIRST_INSTANT = datetime(1900, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(9000, 1, 1, tzinfo=UTC)


def validate(request: Request) -> None:
    """Check one request by itself, without the clock and without the ledger.

    Raises InvalidRequest with everything that is wrong, each with its path (`lines[2].quantity`).
    """
    errors: list[FieldError] = []
    match request:
        case Purchase():
            _purchase(request, errors)
        case Return():
            _instant("occurred_at", request.occurred_at, errors)
            _return_lines(request, errors)
        case UnlinkedReturn():
            _member(request.member, errors)
            _instant("occurred_at", request.occurred_at, errors)
            _lines(request.lines, errors)
        case Redemption():
            _member(request.member, errors)
            _one_of_points_and_amount("", request.points, request.amount, errors)
        case Adjustment():
            _adjustment(request, errors)
        case Engagement():
            _member(request.member, errors)
            _instant("occurred_at", request.occurred_at, errors)
            check_text("channel", request.channel, errors)
        case Claim():
            _member(request.member, errors)
        case Reversal():
            if request.points is not None and request.reversal_id is None:
                errors.append(
                    FieldError("reversal_id", "is needed when a part is reversed (`points` is given)")
                )
        case Capture() | Release() | Cancellation():
            pass
    if errors:
        raise InvalidRequest(_summary(errors), errors=errors)


def check_instant(path: str, instant: datetime) -> None:
    """Refuse an instant that lies outside the years the ledger can hold, as InvalidRequest."""
    errors: list[FieldError] = []
    _instant(path, instant, errors)
    if errors:
        raise InvalidRequest(_summary(errors), errors=errors)


def _purchase(request: Purchase, errors: list[FieldError]) -> None:
    _member(request.member, errors)
    _instant("occurred_at", request.occurred_at, errors)
    check_text("channel", request.channel, errors)
    check_text("store", request.store, errors)
    check_text("terminal", request.terminal, errors)
    _lines(request.lines, errors)
    if (paid := request.redemption) is not None:
        _one_of_points_and_amount("redemption.", paid.points, paid.amount, errors)


def _lines(lines: tuple[PurchaseLine, ...], errors: list[FieldError]) -> None:
    if len(lines) > MAX_LINES:
        errors.append(FieldError("lines", f"has {len(lines)} lines; at most {MAX_LINES} are taken"))
        return
    total = 0
    for index, line in enumerate(lines):
        total += line.amount
        if not line.sku.isprintable():
            check_text(f"lines[{index}].sku", line.sku, errors)
        if line.category is not None and not line.category.isprintable():
            check_text(f"lines[{index}].category", line.category, errors)
        for tag_index, tag in enumerate(line.tags):
            check_text(f"lines[{index}].tags[{tag_index}]", tag, errors)
        if line.quantity != 1:
            _quantity(f"lines[{index}].quantity", line.quantity, errors)
    if total > MAX_AMOUNT:
        errors.append(FieldError("lines", f"add up to {total}; at most {MAX_AMOUNT} (2^53) can be recorded"))
    _numbers_given_once([line.line for line in lines], errors)


def _return_lines(request: Return, errors: list[FieldError]) -> None:
    if request.lines is None:
        return
    if not request.lines:
        errors.append(FieldError("lines", "is empty; leave it out to return all that is left"))
    if len(request.lines) > MAX_LINES:
        errors.append(FieldError("lines", f"has {len(request.lines)} lines; at most {MAX_LINES} are taken"))
        return
    for index, line in enumerate(request.lines):
        _return_line(f"lines[{index}]", line, errors)
    _numbers_given_once([line.line for line in request.lines], errors)


def _return_line(path: str, line: ReturnLine, errors: list[FieldError]) -> None:
    if line.quantity is not None:
        _quantity(f"{path}.quantity", line.quantity, errors)


def _numbers_given_once(numbers: Sequence[int | None], errors: list[FieldError]) -> None:
    seen: set[int] = set()
    for index, number in enumerate(numbers):
        if number is None:
            continue
        if number in seen:
            errors.append(FieldError(f"lines[{index}].line", f"{number} stands for another line already"))
        seen.add(number)


def _quantity(path: str, quantity: Quantity, errors: list[FieldError]) -> None:
    if isinstance(quantity, Decimal):
        if not quantity.is_finite() or quantity.adjusted() > 9:
            errors.append(FieldError(path, f"is not a number from 0 to {MAX_QUANTITY}"))
            return
        if quantity != round(quantity, MAX_DECIMALS):
            errors.append(FieldError(path, f"has more than {MAX_DECIMALS} places after the point"))
    if not 0 <= quantity <= MAX_QUANTITY:
        errors.append(FieldError(path, f"lies outside 0 to {MAX_QUANTITY}"))


def _adjustment(request: Adjustment, errors: list[FieldError]) -> None:
    _member(request.member, errors)
    check_text("reason", request.reason, errors)
    if request.points == 0:
        errors.append(FieldError("points", "is 0; give the points to add, or below zero those to take"))
    if request.expires_at is not None:
        _instant("expires_at", request.expires_at, errors)
        if request.points < 0:
            errors.append(FieldError("expires_at", "belongs to points that are added; leave it out"))


def _one_of_points_and_amount(
    prefix: str, points: int | None, amount: int | None, errors: list[FieldError]
) -> None:
    if (points is None) == (amount is None):
        given = "both are given" if points is not None else "neither is given"
        errors.append(FieldError(f"{prefix}points", f"give exactly one of `points` and `amount`: {given}"))


def _member(reference: str, errors: list[FieldError]) -> None:
    try:
        parse_reference(reference)
    except InvalidRequest as error:
        errors.extend(error.errors)


def _instant(path: str, instant: datetime, errors: list[FieldError]) -> None:
    if not FIRST_INSTANT <= instant < LAST_INSTANT:
        errors.append(FieldError(path, "lies outside the years 1900 to 8999"))


def _summary(errors: list[FieldError]) -> str:
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{first.path}: {first.message}{more}"
