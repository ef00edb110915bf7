"""Members come with their tier and their points; several rows of one member are several lots."""

from datetime import UTC, date, datetime

import pytest

from loyalty.importing.members import Joining, opening, read_member
from loyalty.importing.source import MEMBER_COLUMNS
from loyalty.importing.stage import MEMBER, Unit
from loyalty.importing.values import Rejected


def row(number: int, **said: str) -> list[str]:
    return [said.get(column, "") for column in MEMBER_COLUMNS] + ["key", str(number)]


def read(*rows: list[str]) -> Joining | Rejected:
    return read_member(Unit(MEMBER, "key", "", False, list(rows)), None)


def test_rows_of_one_member_are_one_person_with_several_lots() -> None:
    joining = read(
        row(
            2,
            member_id="m1",
            name="Li",
            birthday="1990-05-01",
            points="100",
            expires_at="2027-01-01T00:00:00Z",
        ),
        row(3, member_id="m1", points="50"),
        row(4, member_id="m1", points="20.0", expires_at="2027-01-01T08:00:00+08:00"),
    )
    assert isinstance(joining, Joining)
    assert (joining.enrolment.name, joining.enrolment.birthday) == ("Li", date(1990, 5, 1))
    assert [(lot.points, lot.lines) for lot in joining.lots] == [(120, [2, 4]), (50, [3])]


def test_the_id_of_an_opening_lot_says_whose_and_until_when() -> None:
    joining = read(
        row(2, member_id="m1", points="100", expires_at="2027-01-01T08:00:00+08:00"), row(3, points="5")
    )
    assert isinstance(joining, Joining)
    ids = [opening("m1", lot).adjustment_id for lot in joining.lots]
    assert ids == ["opening/m1/20270101T000000Z", "opening/m1/never"]


def test_a_tier_comes_with_its_times() -> None:
    joining = read(row(2, member_id="m1", tier="gold", tier_since="2025-06-01T00:00:00Z"))
    assert isinstance(joining, Joining)
    assert joining.tier_since == datetime(2025, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"phone": "13800000001"}, "member is not valid"),
        ({"member_id": "m1", "birthday": "1990-13-01"}, "member is not valid"),
        ({"member_id": "m1", "enrolled_at": "2020-01-01"}, "enrolled_at is unusable"),
        ({"member_id": "m1", "tier": "gold"}, "tier_since is missing"),
        ({"member_id": "m1", "points": "1.5"}, "points is no whole number"),
        ({"member_id": "m1", "points": "-5"}, "points below zero"),
        ({"member_id": "m1", "points": "5", "expires_at": "2027"}, "expires_at is unusable"),
    ],
)
def test_what_cannot_be_taken_is_refused(said: dict[str, str], reason: str) -> None:
    found = read(row(2, **said))
    assert isinstance(found, Rejected)
    assert found.reason == reason


def test_rows_of_one_member_may_not_disagree() -> None:
    found = read(row(2, member_id="m1", name="Li"), row(3, member_id="m1", name="Wang"))
    assert isinstance(found, Rejected)
    assert (found.reason, found.lines) == ("name differs", [2, 3])
