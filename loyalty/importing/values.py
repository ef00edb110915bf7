"""The values of one row, read exactly or refused with the row's line number and what to do. Pure."""

import re
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from msgspec import Struct

from loyalty.currency import minor_units
from loyalty.errors import InvalidRequest
from loyalty.importing.source import MISSHAPEN, Row
from loyalty.importing.stage import read_instant
from loyalty.members.identity import parse_reference
from loyalty.types import MAX_AMOUNT

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_LONGEST_TEXT = 128
_LARGEST_LINE = 1_000_000
_LARGEST_EXPONENT = 15


class Rejected(Struct, frozen=True):
    """Rows that are not taken: `reason` to count by, `detail` to mend by, and the rows' line numbers."""

    reason: str
    detail: str
    lines: list[int]


class BadRowError(Exception):
    """A value that cannot be taken: the short reason, and what is wrong in which row."""

    def __init__(self, reason: str, row: Row | None, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail if row is None else f"line {line_number(row)}: {detail}"


def line_number(row: Row) -> int:
    """Where the row stands in its file."""
    return int(row[-1].removeprefix(MISSHAPEN))


def check_shape(row: Row) -> None:
    """Refuse a row that has more values than the header has names."""
    if row[-1].startswith(MISSHAPEN):
        raise BadRowError("more values than columns", row, "more values than columns; is a quote missing?")


def text_of(row: Row, place: int, name: str, longest: int = _LONGEST_TEXT) -> str:
    """The trimmed text at `place`, or ''."""
    text = row[place].strip()
    if len(text) > longest:
        raise BadRowError(f"{name} is too long", row, f"{name} has {len(text)} characters; at most {longest}")
    return text


def line_of(row: Row, place: int, name: str) -> int | None:
    """The number of a document's line, or None where the file says nothing."""
    number = whole_of(row, place, name)
    if number is not None and not 1 <= number <= _LARGEST_LINE:
        raise BadRowError(f"{name} is out of range", row, f"{name} is {number}, not 1 to {_LARGEST_LINE}")
    return number


def whole_of(row: Row, place: int, name: str) -> int | None:
    """A whole number, also written as 120.0; None where the file says nothing."""
    if not row[place]:
        return None
    try:
        number = _number(row[place])
    except ValueError:
        number = Decimal("0.5")
    if not isinstance(number, int) or abs(number) > MAX_AMOUNT:
        raise BadRowError(f"{name} is no whole number", row, f"{name} is {row[place]!r}")
    return number


def quantity_of(row: Row, place: int) -> int | Decimal | None:
    """Units of goods, with their sign; None where the file says nothing."""
    if not row[place]:
        return None
    try:
        return _number(row[place])
    except ValueError:
        raise BadRowError("quantity is no number", row, f"quantity is {row[place]!r}") from None


def money_of(row: Row, place: int, name: str, digits: int) -> int:
    """An amount in minor units of `digits` digits, with its sign; 0 where the file says nothing."""
    if not row[place]:
        return 0
    try:
        amount = _minor_units(row[place], digits)
    except ValueError:
        raise BadRowError(f"{name} is no number", row, f"{name} is {row[place]!r}") from None
    if abs(amount) > MAX_AMOUNT:
        raise BadRowError(f"{name} is too large", row, f"{name} is {row[place]!r}")
    return amount


def instant_of(row: Row, place: int, name: str, zone: tzinfo | None) -> datetime:
    """An instant; `zone` gives the offset to those that carry none."""
    instant = read_instant(row[place].strip(), zone)
    if instant is None:
        raise BadRowError(
            f"{name} is unusable",
            row,
            f"{name} {row[place]!r} must be like 2026-03-01T09:30:00+08:00; without offset give --time-zone",
        )
    return instant


def check_request_id(row: Row, request_id: str) -> None:
    """Refuse an id that requests may not carry."""
    if not _REQUEST_ID.fullmatch(request_id):
        raise BadRowError(
            "purchase_id is unusable", row, f"{request_id!r}: an id has 1 to 128 of A-Z a-z 0-9 . _ : / -"
        )


@lru_cache(1 << 16)
def member_name(ref: str) -> str | None:
    """How requests name the member that a file calls `ref`: as it is if that is a name, else by ext:.

    None when it fits neither.
    """
    for candidate in (ref, f"ext:{ref}"):
        try:
            return str(parse_reference(candidate))
        except InvalidRequest:
            continue
    return None


@lru_cache(1 << 14)
def _number(text: str) -> int | Decimal:
    try:
        exact = Decimal(text)
        if not exact.is_finite() or abs(exact.adjusted()) > _LARGEST_EXPONENT:
            raise ValueError(text)
        return int(exact) if exact == exact.to_integral_value() else exact
    except InvalidOperation:
        raise ValueError(text) from None


_minor_units = lru_cache(1 << 16)(minor_units)
