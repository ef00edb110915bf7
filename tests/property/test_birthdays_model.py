"""Birthdays against a model that walks the calendar day by day, as one reads it on the wall."""

from datetime import date, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from loyalty.rules.birthday import birthday_matches

DAY = timedelta(days=1)


def is_celebrated(birthday: date, day: date) -> bool:
    """29 February counts on 28 February where 1 March comes next."""
    if (birthday.month, birthday.day) == (2, 29) and (day.month, day.day) == (2, 28):
        return (day + DAY).month == 3
    return (birthday.month, birthday.day) == (day.month, day.day)


def model(birthday: date, day: date) -> set[str]:
    week = [day - day.weekday() * DAY + at * DAY for at in range(7)]
    month = [day.replace(day=1) + at * DAY for at in range(31)]
    spans = {"day": [day], "week": week, "month": [one for one in month if one.month == day.month]}
    return {span for span, days in spans.items() if any(is_celebrated(birthday, one) for one in days)}


leap_days = st.sampled_from([date(1992, 2, 29), date(2000, 2, 29), date(2024, 2, 29)])
born = leap_days | st.dates(date(1920, 1, 1), date(2026, 12, 31))
days = st.dates(date(1999, 1, 1), date(2110, 12, 31)) | st.builds(
    lambda year, at: date(year, 2, 22) + at * DAY, st.integers(1999, 2110), st.integers(0, 14)
)


@given(born, days)
@example(date(1992, 2, 29), date(2100, 2, 28))
@example(date(1990, 1, 1), date(2026, 12, 28))
def test_a_birthday_is_that_of_the_calendar_on_the_wall(birthday: date, day: date) -> None:
    assert birthday_matches(birthday, day) == model(birthday, day)
