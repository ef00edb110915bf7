"""Whether a purchase falls on a birthday, in its week or in its month (DESIGN.md section 4, Birthdays)."""

from calendar import isleap
from collections.abc import Mapping
from datetime import date, timedelta


def birthday_matches(
    birthday: date | None, local_day: date, pinned: Mapping[int, date] | None = None
) -> frozenset[str]:
    """Which of `day`, `week` and `month` hold on a local day.

    Args:
        birthday: the date of birth as now known, if it is; only its month and day count.
        local_day: the purchase's day in the program's time zone.
        pinned: by calendar year, the date that the year's first award pinned; it wins over `birthday`.
    Returns:
        a set without the date itself, fit to be recorded. The week is Monday to Sunday and may reach into
        another year: the birthday whose week it is counts by its own year.
    """
    return frozenset(birthday_years(birthday, local_day, pinned))


def birthday_years(
    birthday: date | None, local_day: date, pinned: Mapping[int, date] | None = None
) -> dict[str, int]:
    """As `birthday_matches`, each with the calendar year of the birthday that it is."""
    known = pinned or {}
    monday = local_day - timedelta(days=local_day.weekday())
    found: dict[str, int] = {}
    for year in range(max(1, local_day.year - 1), min(9999, local_day.year + 1) + 1):
        of_year = known.get(year, birthday)
        if of_year is None:
            continue
        day = anniversary(of_year, year)
        if day == local_day:
            found["day"] = year
        if monday <= day <= monday + timedelta(days=6):
            found["week"] = year
        if (day.year, day.month) == (local_day.year, local_day.month):
            found["month"] = year
    return found


def anniversary(birthday: date, year: int) -> date:
    """The birthday in that year; 29 February counts on 28 February in years that lack it."""
    if (birthday.month, birthday.day) == (2, 29) and not isleap(year):
        return date(year, 2, 28)
    return date(year, birthday.month, birthday.day)
