"""Files of members with the tiers and points that they bring along: no retailer starts empty.

Several rows of one member give several opening lots; what one row says of the person, others may leave out.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec
from msgspec import Struct

from loyalty.importing import values
from loyalty.importing.source import MEMBER_COLUMNS, Row, Source
from loyalty.importing.stage import Unit
from loyalty.importing.values import BadRowError, Rejected
from loyalty.types import Adjustment, Enrolment

REASON = "opening balance"
_PLACE = {name: place for place, name in enumerate(MEMBER_COLUMNS)}
KEY = len(MEMBER_COLUMNS)
"""The place of what a member is known by, in the rows of `keyed_rows`."""
_NAMES = ("member_id", "phone", "card", "email", "ext")
_PERSON = (*_NAMES, "name", "birthday", "channel", "enrolled_at")
_POINTS, _EXPIRES = _PLACE["points"], _PLACE["expires_at"]


class OpeningLot(Struct, frozen=True):
    """Points with one life, and the lines that gave them."""

    points: int
    expires_at: datetime | None
    lines: list[int]


class Joining(Struct, frozen=True):
    """A member of the file: who it is, the tier and the lots it brings."""

    enrolment: Enrolment
    tier: str | None
    tier_since: datetime | None
    tier_valid_until: datetime | None
    lots: list[OpeningLot]
    lines: list[int]


def read_member(unit: Unit, zone: tzinfo | None) -> Joining | Rejected:
    """One member's rows as a value. Pure."""
    lines = [values.line_number(row) for row in unit.rows]
    try:
        for row in unit.rows:
            values.check_shape(row)
        if not unit.id:
            raise BadRowError("nobody named", unit.rows[0], f"give one of {', '.join(_NAMES)}")
        person: dict[str, Any] = {}
        for column in _PERSON:
            row, text = _said(unit.rows, column)
            if text:
                wanted = column == "enrolled_at"
                person[column] = values.instant_of(row, _PLACE[column], column, zone) if wanted else text
        try:
            enrolment = msgspec.convert(person, Enrolment)
        except msgspec.ValidationError as e:
            raise BadRowError("member is not valid", unit.rows[0], str(e)) from None
        row, tier = _said(unit.rows, "tier")
        since = _said_instant(unit.rows, "tier_since", zone)
        if tier and since is None:
            raise BadRowError("tier_since is missing", row, f"since when is the member {tier}?")
        until = _said_instant(unit.rows, "tier_valid_until", zone)
        return Joining(enrolment, tier or None, since, until, _lots(unit.rows, zone), lines)
    except BadRowError as bad:
        return Rejected(bad.reason, bad.detail, lines)


def opening(member_id: str, lot: OpeningLot) -> Adjustment:
    """The adjustment that grants an opening lot. Its id says whose and until when, so that twice is once."""
    until = "never" if lot.expires_at is None else f"{lot.expires_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return Adjustment(f"opening/{member_id}/{until}", member_id, lot.points, REASON, lot.expires_at)


def keyed_rows(source: Source) -> Iterator[Row]:
    """The rows with what their member is known by: the first of its names that is given."""
    for row in source.rows(MEMBER_COLUMNS):
        key = next((f"{place}:{row[place]}" for place in range(len(_NAMES)) if row[place]), "")
        yield [*row[:-1], key, row[-1]]


def _said(rows: list[Row], column: str) -> tuple[Row, str]:
    """What the rows say in a column, and the row that says it; they may be silent but not disagree."""
    place = _PLACE[column]
    found, text = rows[0], ""
    for row in rows:
        said = row[place].strip()
        if said and text and said != text:
            raise BadRowError(f"{column} differs", row, f"{column} is {said!r}, before it was {text!r}")
        if said and not text:
            found, text = row, said
    return found, text


def _said_instant(rows: list[Row], column: str, zone: tzinfo | None) -> datetime | None:
    row, text = _said(rows, column)
    return values.instant_of(row, _PLACE[column], column, zone) if text else None


def _lots(rows: list[Row], zone: tzinfo | None) -> list[OpeningLot]:
    """The rows' points; those that die at one instant are one lot."""
    lots: dict[datetime | None, OpeningLot] = {}
    for row in rows:
        points = values.whole_of(row, _POINTS, "points")
        if not points:
            continue
        until = values.instant_of(row, _EXPIRES, "expires_at", zone) if row[_EXPIRES] else None
        if points < 0:
            raise BadRowError("points below zero", row, f"points is {points}; nobody starts with a debt")
        before = lots.get(until, OpeningLot(0, until, []))
        lots[until] = OpeningLot(before.points + points, until, [*before.lines, values.line_number(row)])
    return sorted(
        (lot for lot in lots.values() if lot.points),
        key=lambda lot: (lot.expires_at is None, lot.expires_at or datetime.max.replace(tzinfo=UTC)),
    )
