"""Whether a purchase falls on a birthday, in its week or in its month (DESIGN.md section 4, Birthdays)."""

from calendar import isleap
from collections.abc import Mapping
from datetime import date, timedelta


def birthday_matches(
    birthday: date, local_day: date, pinned: Mapping[int, date] | None = None
) -> frozenset[str]:
    """Which of `day`, `week` and `month` hold on a local day.

    Args:
        birthday: the date of birth as now known; only its month and day count.
        local_day: the purchase's day in the program's time zone.
        pinned: by calendar year, the date that the year's first award pinned; it wins over `birthday`.
    Returns:
        a set without the date itself, fit to be recorded. The week is Monday to Sunday and may reach into
        another year: the birthday whose week it is counts by its own year.
    """
    known = pinned or {}
    monday = local_day - timedelta(days=local_day.weekday())
    days = [
        anniversary(known.get(year, birthday), year)
        for year in range(max(1, local_day.year - 1), min(9999, local_day.year + 1) + 1)
    ]
    found = set()
    if local_day in days:
        found.add("day")
    if any(monday <= day <= monday + timedelta(days=6) for day in days):
        found.add("week")
    if any((day.year, day.month) == (local_day.year, local_day.month) for day in days):
        found.add("month")
    return frozenset(found)


def anniversary(birthday: date, year: int) -> date:
    """The birthday in that year; 29 February counts on 28 February in years that lack it."""
    if (birthday.month, birthday.day) == (2, 29) and not isleap(year):
        return date(year, 2, 28)
    return date(year, birthday.month, birthday.day)
