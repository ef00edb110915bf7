"""What a tier asks for and how much of it a window holds. Pure.

A window ends at an instant, which it includes, and starts at the first instant of a local day, so that it
means the same all day long and visits are never cut in half. Source: DESIGN.md section 4, Tiers.
"""

from collections.abc import Iterable
from datetime import date, datetime

from loyalty.calendar import Calendar, shift_days, shift_months
from loyalty.program.model import Program, Qualify, WindowCalendarYear, WindowRolling
from loyalty.tiers.model import Metric, Needed, Progress, Qualifying, Standing


def window_start(window: WindowRolling | WindowCalendarYear, calendar: Calendar, at: datetime) -> datetime:
    """The first instant of the window that ends at `at`, in UTC.

    calendar_year: of the local year of `at`. rolling: of the day after the same day `months` before, so that
    a window of 12 months that ends on 15 March begins with 16 March of the year before.
    """
    day = calendar.day(at)
    if isinstance(window, WindowCalendarYear):
        return calendar.day_start(date(day.year, 1, 1))
    return calendar.day_start(shift_days(shift_months(day, -window.months), 1))


def metric(
    window: WindowRolling | WindowCalendarYear, calendar: Calendar, rows: Iterable[Qualifying], at: datetime
) -> Metric:
    """What the window that ends at `at` (inclusive) holds of `rows`, which may come in any order."""
    start = window_start(window, calendar, at)
    spend_amount = 0
    by_day: dict[date, int] = {}
    for row in rows:
        if start <= row.at <= at:
            spend_amount += row.amount
            day = calendar.day(row.at)
            by_day[day] = by_day.get(day, 0) + row.amount
    visits = sum(1 for amount in by_day.values() if amount > 0)
    return Metric(spend_amount=spend_amount, visits=visits, from_=start)


class Sweep:
    """`metric` for many instants in ascending order, each row touched twice: for purchases that arrive late.

    A member's year may hold thousands of rows, and a late one is looked at from each of those after it.
    """

    __slots__ = ("_by_day", "_calendar", "_in", "_out", "_rows", "_spend", "_visits", "_window")

    def __init__(
        self, window: WindowRolling | WindowCalendarYear, calendar: Calendar, rows: Iterable[Qualifying]
    ) -> None:
        self._window = window
        self._calendar = calendar
        self._rows = sorted(rows, key=lambda row: row.at)
        self._in = self._out = 0
        self._spend = self._visits = 0
        self._by_day: dict[date, int] = {}

    def at(self, at: datetime) -> Metric:
        """The metric of the window that ends at `at`, which is not before the last one asked for."""
        start = window_start(self._window, self._calendar, at)
        rows = self._rows
        while self._in < len(rows) and rows[self._in].at <= at:
            self._count(rows[self._in], 1)
            self._in += 1
        while self._out < self._in and rows[self._out].at < start:
            self._count(rows[self._out], -1)
            self._out += 1
        return Metric(spend_amount=self._spend, visits=self._visits, from_=start)

    def _count(self, row: Qualifying, sign: int) -> None:
        day = self._calendar.day(row.at)
        before = self._by_day.get(day, 0)
        after = before + sign * row.amount
        self._by_day[day] = after
        self._visits += (after > 0) - (before > 0)
        self._spend += sign * row.amount


def meets(qualify: Qualify, found: Metric) -> bool:
    """Whether a window is enough for a tier; a tier that asks for nothing is not reached by buying."""
    met: list[bool] = []
    if qualify.spend_amount is not None:
        met.append(found.spend_amount >= qualify.spend_amount)
    if qualify.visits is not None:
        met.append(found.visits >= qualify.visits)
    return bool(met) and (any(met) if qualify.need == "any" else all(met))


def qualified(program: Program, found: Metric) -> int:
    """The index of the highest tier that the window is enough for; 0, the lowest, asks for nothing."""
    for index in range(len(program.tiers) - 1, 0, -1):
        qualify = program.tiers[index].qualify
        if qualify is not None and meets(qualify, found):
            return index
    return 0


def rank(program: Program, tier: str) -> int:
    """The index of a tier, lowest first. Raises ValueError for an id that the program lacks (ids stay)."""
    for index, known in enumerate(program.tiers):
        if known.id == tier:
            return index
    raise ValueError(f"the program has no tier {tier!r}")


def next_thresholds(program: Program, tier: str) -> tuple[int | None, int | None]:
    """The least spend_amount and the least visits that could promote a member of `tier`.

    While a member's spend and visits (any upper bounds of them) stay below both, no promotion is possible
    and the rows need not be read. None: no higher tier can be reached that way. Where a tier needs all, its
    spend alone is the bar: without it the visits do not help.
    """
    spends: list[int] = []
    visits: list[int] = []
    for higher in program.tiers[rank(program, tier) + 1 :]:
        qualify = higher.qualify
        if qualify is None:
            continue
        if qualify.spend_amount is not None:
            spends.append(qualify.spend_amount)
            if qualify.need == "all":
                continue
        if qualify.visits is not None:
            visits.append(qualify.visits)
    return min(spends, default=None), min(visits, default=None)


def progress(
    program: Program, calendar: Calendar, standing: Standing, rows: Iterable[Qualifying], now: datetime
) -> Progress:
    """What the window that ends at `now` holds, and what is missing for the next tier that can be reached."""
    found = metric(program.tier_policy.window, calendar, rows, now)
    needed: Needed | None = None
    for higher in program.tiers[rank(program, standing.tier) + 1 :]:
        qualify = higher.qualify
        if qualify is not None:
            needed = missing(higher.id, qualify, found)
            break
    return Progress(spend_amount=found.spend_amount, visits=found.visits, from_=found.from_, next=needed)


def missing(tier: str, qualify: Qualify, found: Metric) -> Needed:
    """What a window lacks of what a tier asks for."""
    return Needed(
        tier=tier,
        spend_amount=_short(qualify.spend_amount, found.spend_amount),
        visits=_short(qualify.visits, found.visits),
        need=qualify.need,
    )


def _short(asked: int | None, found: int) -> int | None:
    return None if asked is None else max(asked - found, 0)
