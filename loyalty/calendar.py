"""Local days and wall times of the program's time zone, as instants in UTC.

Everything that depends on a calendar (lives of lots, tier windows, visits, campaigns) asks here, so that one
reading of clock changes serves all of them; SQL never computes a local day. Source: DESIGN.md section 4,
Time.

Instants lie between `START_OF_TIME` and `END_OF_TIME`: what would fall outside is moved to the nearer of the
two, so that a period of a million months means never instead of an error.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Literal, Protocol, TypeVar
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

# Pinned tzdata: the package's, whatever the machine has, so that all servers agree on every clock change.
reset_tzpath(())

Unit = Literal["day", "month", "quarter", "year"]

# A day away from what datetime can hold, so that every zone (up to 16 hours from UTC) can still show them.
START_OF_TIME = datetime(1, 1, 2, tzinfo=UTC)
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for never; nothing that is computed here lies later."""


class Span(Protocol):
    """A length of calendar time, such as the program's `Period`; the program is built on this module."""

    @property
    def days(self) -> int: ...
    @property
    def months(self) -> int: ...
    @property
    def years(self) -> int: ...


_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_MIDNIGHT = time()
_KEPT = 50_000
_LAST_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

K = TypeVar("K")
V = TypeVar("V")


def known_zones() -> frozenset[str]:
    """The names of all time zones of the pinned tzdata; the machine's own, such as `localtime`, are none."""
    return frozenset(available_timezones())


class Calendar:
    """The days of one time zone. Make it with `calendar_of`; it keeps what it has computed.

    Local days are a partition of time: a day begins at its first existing instant and lasts to the first
    instant of the next. Where clocks were set back over midnight, the repeated hour belongs to the new day,
    although its wall time shows the old date; a day that the zone skipped is empty.
    """

    __slots__ = ("_asked", "_ends", "_midnights", "_plain", "_starts", "zone")

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._asked = END_OF_TIME, date.max
        self._midnights: dict[date, tuple[date, datetime, date] | None] = {}
        self._starts: dict[date, datetime] = {}
        self._plain: dict[date, datetime | None] = {}
        self._ends: dict[tuple[date, Span, Unit], datetime] = {}

    def local(self, instant: datetime) -> datetime:
        """The wall time at `instant` (aware, any offset), as an aware datetime of the zone.

        Raises ValueError for a naive datetime: it would silently be read in the server's own zone.
        """
        if instant.tzinfo is None:
            raise ValueError(f"{instant.isoformat()} has no offset")
        try:
            return instant.astimezone(self.zone)
        except OverflowError:
            return _within(instant).astimezone(self.zone)

    def day(self, instant: datetime) -> date:
        """The local day that holds `instant` (aware)."""
        asked, day = self._asked  # a decision asks for the day of one instant again and again
        if asked is instant:
            return day
        day = self._find_day(instant)
        self._asked = instant, day
        return day

    def _find_day(self, instant: datetime) -> date:
        if instant.tzinfo is not UTC:
            return self._day(instant)
        of_utc = instant.date()
        try:
            midnight = self._midnights[of_utc]
        except KeyError:
            midnight = self._midnight_in(of_utc)
            _keep(self._midnights, of_utc, midnight)
        if midnight is None:
            return self._day(instant)
        before, start, after = midnight
        return before if instant < start else after

    def _midnight_in(self, of_utc: date) -> tuple[date, datetime, date] | None:
        """The start of the local day that begins in a day of UTC, or just after it, between the days on both sides;
        None where that is not all, or at the ends of time."""
        if not START_OF_TIME.year < of_utc.year < END_OF_TIME.year:
            return None
        begin = datetime.combine(of_utc, _MIDNIGHT, UTC)
        before = self._day(begin)
        start = self.day_start(shift_days(before, 1))
        after = self._day(start)
        return (before, start, after) if self.day_start(shift_days(after, 1)) >= begin + _DAY else None

    def _day(self, instant: datetime) -> date:
        local = self.local(instant)
        day = local.date()
        if local.fold:  # only a repeated wall time can show a date that is over already
            while self.day_start(shift_days(day, 1)) <= instant < END_OF_TIME:
                day = shift_days(day, 1)
        return day

    def day_start(self, day: date) -> datetime:
        """The first existing instant of the local day, in UTC.

        That is midnight, the earlier one if it comes twice, or the end of the gap if a clock change skips it.
        A day that does not exist at all starts, and ends, with the start of the next.
        """
        start = self._starts.get(day)
        if start is None:
            start = self._first_instant(day)
            _keep(self._starts, day, start)
        return start

    def at(self, day: date, wall: time) -> datetime:
        """The instant of a wall time on a local day, in UTC.

        A time that a clock change skips moves forward by the length of the gap; of a doubled time the
        earlier is meant. Both are what fold=0 says (PEP 495).
        """
        return self._utc(datetime.combine(day, wall.replace(fold=0, tzinfo=None), self.zone))

    def add(self, instant: datetime, period: Span) -> datetime:
        """`instant` plus a period, at the same wall time, in UTC.

        Months and years end on the month's last day at most: 31 January plus one month is 28 (29) February.
        The rules of `at` hold for the result.
        """
        local = self.local(instant)
        return self._move(instant, local, _moved(local.date(), period))

    def add_days(self, instant: datetime, days: int) -> datetime:
        """`instant` plus that many local days (may be negative), at the same wall time, in UTC."""
        if days == 0:
            return _within(instant)
        local = self.local(instant)
        return self._move(instant, local, shift_days(local.date(), days))

    def unit_end(self, instant: datetime, unit: Unit) -> datetime:
        """`instant` rounded up to the first instant of a local day, month, quarter or year, in UTC.

        An instant that is such a boundary stays: ends are exclusive, so a period that ends there ends with
        the unit before it.
        """
        day = self.day(instant)
        first = _unit_first(day, unit)
        if self.day_start(first) == instant:
            return _within(instant)
        return self.day_start(_next_unit(first, unit))

    def add_rounded(self, instant: datetime, period: Span, unit: Unit) -> datetime:
        """`unit_end(add(instant, period), unit)`, remembered by the day: every purchase asks for one."""
        day = self.day(instant)
        start = self._plain_start(day)
        # At midnight sharp the sum may lie on the boundary itself; at other times of a plain day it cannot.
        kept = start is not None and instant != start
        key = (day, period, unit)
        if kept and (end := self._ends.get(key)) is not None:
            return end
        local = self.local(instant)
        moved = _moved(local.date(), period)
        end = self.unit_end(self._move(instant, local, moved), unit)
        if kept and self._plain_start(moved) is not None:
            _keep(self._ends, key, end)
        return end

    def _move(self, instant: datetime, local: datetime, day: date) -> datetime:
        """The wall time of `local`, which is `instant`, on another day."""
        was = local.date()
        if day == was:
            return _within(instant)
        if not local.fold:  # a repeated wall time may lie outside the 24 hours of its date
            here, there = self._plain_start(was), self._plain_start(day)
            if here is not None and there is not None:  # equally far from both midnights: no zone needed
                return _within(_within(instant) + (there - here))
        if day == date.max:
            return END_OF_TIME
        return self._utc(local.replace(day.year, day.month, day.day, fold=0))

    def _plain_start(self, day: date) -> datetime | None:
        """The start of a day of exactly 24 hours, on which the clocks do not change; None for any other."""
        try:
            return self._plain[day]
        except KeyError:
            start = self.day_start(day)
            plain = start if self.day_start(shift_days(day, 1)) - start == _DAY else None
            _keep(self._plain, day, plain)
            return plain

    def _first_instant(self, day: date) -> datetime:
        if day == date.max:  # what lies beyond is moved to this day: it stands for never in every zone
            return END_OF_TIME
        midnight = datetime.combine(day, _MIDNIGHT, self.zone)
        instant = self._utc(midnight)
        if not START_OF_TIME < instant < END_OF_TIME or instant.astimezone(self.zone).date() < day:
            return instant
        # In a gap fold=0 lands as far behind the change as midnight lies inside the gap, fold=1 before it.
        low = self._utc(midnight.replace(fold=1))
        if low >= instant:
            return instant
        high = instant
        while high - low > timedelta(seconds=1):  # clock changes happen on whole seconds
            middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
            if middle.astimezone(self.zone).date() < day:
                low = middle
            else:
                high = middle
        return high

    def _utc(self, local: datetime) -> datetime:
        try:
            return _within(local.astimezone(UTC))
        except OverflowError:
            return START_OF_TIME if local.year < 5000 else END_OF_TIME


@cache
def calendar_of(zone: ZoneInfo) -> Calendar:
    """The calendar of a zone, one for the process, so that its memory is shared."""
    return Calendar(zone)


def just_before(instant: datetime) -> datetime:
    """The last instant before an exclusive end, at the microsecond that the database keeps."""
    return instant - _MICROSECOND if instant > START_OF_TIME else instant


def shift_days(day: date, days: int) -> date:
    """`day` plus `days` (may be negative); beyond the years 1 to 9999 the last day of that side."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


def shift_months(day: date, months: int) -> date:
    """`day` plus `months` (may be negative), at most that month's last day; clamped like `shift_days`."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return date.max if year > 9999 else date.min
    month += 1
    last = _LAST_DAYS[month - 1]
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        last = 29
    return date(year, month, min(day.day, last))


def _moved(day: date, period: Span) -> date:
    months = period.months + 12 * period.years
    moved = shift_months(day, months) if months else day
    return shift_days(moved, period.days) if period.days else moved


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    if len(kept) >= _KEPT:  # days come from clients: the memory must not follow them
        kept.clear()
    kept[key] = value


def _unit_first(day: date, unit: Unit) -> date:
    if unit == "day":
        return day
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
    return date(day.year, 1, 1)


def _next_unit(first: date, unit: Unit) -> date:
    if unit == "day":
        return shift_days(first, 1)
    return shift_months(first, {"month": 1, "quarter": 3, "year": 12}[unit])


def _within(instant: datetime) -> datetime:
    """In UTC and inside the two ends of time."""
    if instant >= END_OF_TIME:
        return END_OF_TIME
    if instant <= START_OF_TIME:
        return START_OF_TIME
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)
