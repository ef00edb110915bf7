"""How each kind of request is told apart: its id, whom it is about, and when two of them are the same.

The same request is the same values: instants as instants, quantities as numbers, line numbers filled in. The member
is compared as the account that it means, so it is left out of the fingerprint here.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import NamedTuple

import msgspec

from loyalty.errors import InvalidRequest
from loyalty.ledger.store import RequestKey
from loyalty.types import (
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Engagement,
    OpeningTier,
    Purchase,
    PurchaseLine,
    Redemption,
    Release,
    Request,
    Return,
    ReturnLine,
    Reversal,
    UnlinkedReturn,
)

SOMEBODY = "-"
"""Stands for the member in what is recorded: the account tells who it is."""

_encode = msgspec.json.Encoder(order=None, decimal_format="string").encode


class Addressed(NamedTuple):
    """Where a request goes. Either `member` or `subject` (a purchase or redemption on record) leads to the account."""

    key: RequestKey | None
    member: str | None
    subject: RequestKey | None
    needs_lots: bool


def address(request: Request) -> Addressed:
    """The request's own id, and what its account is found by."""
    match request:
        case Purchase():
            return Addressed(
                ("purchase", request.purchase_id), request.member, None, request.redemption is not None
            )
        case Return():
            return Addressed(("return", request.return_id), None, ("purchase", request.purchase_id), True)
        case UnlinkedReturn():
            return Addressed(("return", request.return_id), request.member, None, True)
        case Redemption():
            return Addressed(("redemption", request.redemption_id), request.member, None, True)
        case Capture() | Release():
            return Addressed(None, None, ("redemption", request.redemption_id), True)
        case Reversal():
            key = None if request.reversal_id is None else ("reversal", request.reversal_id)
            return Addressed(key, None, ("redemption", request.redemption_id), True)
        case Adjustment():
            return Addressed(("adjustment", request.adjustment_id), request.member, None, True)
        case Engagement():
            return Addressed(("event", request.event_id), request.member, None, False)
        case OpeningTier():
            return Addressed(("opening", f"tier/{request.member}"), request.member, None, False)
        case Claim():
            return Addressed(("claim", request.claim_id), request.member, None, True)
        case Cancellation():
            return Addressed(None, None, ("claim", request.claim_id), True)


def normalised(request: Request) -> Request:
    """The request in its one form, with the member left out: what is compared and recorded.

    Raises InvalidRequest when lines carry the same number.
    """
    match request:
        case Purchase():
            return msgspec.structs.replace(
                request,
                member=SOMEBODY,
                occurred_at=_utc(request.occurred_at),
                lines=_numbered(request.lines),
            )
        case UnlinkedReturn():
            return msgspec.structs.replace(
                request,
                member=SOMEBODY,
                occurred_at=_utc(request.occurred_at),
                lines=_numbered(request.lines),
            )
        case Return():
            lines = request.lines
            if lines is not None:
                lines = tuple(
                    line
                    if line.quantity is None
                    else ReturnLine(line.line, _number(line.quantity), line.amount)
                    for line in lines
                )
            return msgspec.structs.replace(request, occurred_at=_utc(request.occurred_at), lines=lines)
        case Adjustment():
            expires_at = None if request.expires_at is None else _utc(request.expires_at)
            return msgspec.structs.replace(request, member=SOMEBODY, expires_at=expires_at)
        case Engagement():
            return msgspec.structs.replace(request, member=SOMEBODY, occurred_at=_utc(request.occurred_at))
        case OpeningTier():
            valid_until = None if request.valid_until is None else _utc(request.valid_until)
            return msgspec.structs.replace(
                request, member=SOMEBODY, since=_utc(request.since), valid_until=valid_until
            )
        case Redemption() | Claim():
            return msgspec.structs.replace(request, member=SOMEBODY)
        case _:
            return request


def recorded_form(request: Request) -> bytes:
    """A normalised request as JSON: what its fingerprint is taken of."""
    return _encode(request)


def fingerprint(form: bytes) -> bytes:
    """Tells two contents of one id apart."""
    return sha256(form).digest()


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def _number(quantity: int | Decimal) -> int | Decimal:
    if isinstance(quantity, int):
        return quantity
    whole = quantity.to_integral_value()
    return int(whole) if whole == quantity else quantity.normalize()


def _numbered(lines: tuple[PurchaseLine, ...]) -> tuple[PurchaseLine, ...]:
    """Lines with their numbers: from 1 by place where they carry none, around those that do."""
    given = [line.line for line in lines]
    numbers: Iterable[int] = range(1, len(given) + 1)
    if given.count(None) < len(given):
        numbers = _around(given)
    return tuple(
        [
            line
            if line.line == number and isinstance(line.quantity, int)
            else PurchaseLine(
                line.sku,
                line.amount,
                number,
                _number(line.quantity),
                line.list_amount,
                line.category,
                line.tags,
            )
            for number, line in zip(numbers, lines, strict=True)
        ]
    )


def _around(given: Sequence[int | None]) -> list[int]:
    """The numbers given, and for each place without one the next that is free."""
    taken = {number for number in given if number is not None}
    if len(taken) != len(given) - given.count(None):
        raise InvalidRequest(
            "Two lines of the basket carry the same number. Number each line once, or none of them."
        )
    numbers = []
    for place, number in enumerate(given, 1):
        if number is None:
            number = place
            while number in taken:
                number += 1
            taken.add(number)
        numbers.append(number)
    return numbers
