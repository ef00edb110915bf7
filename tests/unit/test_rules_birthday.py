"""Birthdays: day, week and month of a local day; 29 February; a year's birthday once pinned."""

from datetime import date

import pytest

from loyalty.rules.birthday import birthday_matches


@pytest.mark.parametrize(
    ("birthday", "day", "matches"),
    [
        (date(1990, 5, 20), date(2026, 5, 20), {"day", "week", "month"}),
        (date(1990, 5, 20), date(2026, 5, 18), {"week", "month"}),
        (date(1990, 5, 20), date(2026, 5, 17), {"month"}),
        (date(1990, 5, 20), date(2026, 5, 24), {"week", "month"}),
        (date(1990, 5, 25), date(2026, 5, 24), {"month"}),
        (date(1990, 5, 20), date(2026, 6, 20), set()),
        (date(1992, 2, 29), date(2026, 2, 28), {"day", "week", "month"}),
        (date(1992, 2, 29), date(2028, 2, 28), {"week", "month"}),
        (date(1992, 2, 29), date(2028, 2, 29), {"day", "week", "month"}),
        (date(1990, 1, 1), date(2026, 12, 28), {"week"}),
        (date(1990, 12, 31), date(2027, 1, 3), {"week"}),
    ],
)
def test_birthday_matches(birthday: date, day: date, matches: set[str]) -> None:
    assert birthday_matches(birthday, day) == matches


def test_a_pinned_year_outlives_an_edit() -> None:
    pinned = {2026: date(1990, 5, 20)}
    assert "day" in birthday_matches(date(1990, 8, 1), date(2026, 5, 20), pinned)
    assert "day" not in birthday_matches(date(1990, 8, 1), date(2026, 8, 1), pinned)
    assert "day" in birthday_matches(date(1990, 8, 1), date(2027, 8, 1), pinned)
