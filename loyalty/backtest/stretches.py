"""The stretches of time that a backtest counts by: what came before the period, its months, and what came after."""

from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

from loyalty.calendar import Calendar, shift_months

OPENING = ""
"""The month of everything before the period."""


class Stretches(NamedTuple):
    """`edges`: where each begins but the first, in order. `months`: the names of all; None: after the period."""

    edges: list[datetime]
    months: list[str | None]


@lru_cache(maxsize=4)
def stretches(calendar: Calendar, first: datetime, start: datetime | None, end: datetime) -> Stretches:
    """The stretches of a period.

    Args:
        calendar: whose months they are.
        first: nothing occurred before it.
        start: of the period; None: all of the past belongs to it.
        end: of the period.
    """
    begins = first if start is None else start
    day = calendar.day(begins).replace(day=1)
    edges, months = [begins], [OPENING if start is not None else month_of(day), month_of(day)]
    while (after := calendar.day_start(day := shift_months(day, 1))) < end:
        edges.append(after)
        months.append(month_of(day))
    return Stretches([*edges, end], [*months, None])


def month_of(day: date) -> str:
    """The name of a day's month."""
    return f"{day.year:04}-{day.month:02}"
