"""What the program's versions say that the rows of an account do not: whether their chain holds, which tiers there are,
when idle points die, and over which window tiers count."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from loyalty.audit.hashes import GENESIS, version_hash
from loyalty.calendar import END_OF_TIME, Calendar, calendar_of, shift_days, shift_months
from loyalty.program.model import ExpireInactivity, Program, WindowCalendarYear
from loyalty.program.parse import parse

_YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


class Version(NamedTuple):
    """A row of program_version."""

    version: int
    effective_from: datetime
    source: str
    format: str
    author: str | None
    note: str | None
    recorded_at: datetime
    hash: bytes


class Terms:
    """What the versions say together. Instants in and out are microseconds since 2000-01-01."""

    def __init__(self, versions: Sequence[Version]) -> None:
        self.newest = max((row.version for row in versions), default=0)
        programs = [(row, program) for row in versions if (program := program_of(row)) is not None]
        self.ranks = {tier.id: place for place, tier in enumerate(programs[-1][1].tiers)} if programs else {}
        """The newest version's tiers, 0 the lowest."""
        self._idle = [
            (_instant(row.effective_from), calendar_of(program.time_zone), expiry)
            for row, program in sorted(
                programs, key=lambda pair: (pair[0].effective_from, pair[0].version), reverse=True
            )
            if isinstance(expiry := program.points.expiry, ExpireInactivity)
        ]
        self._idle_ends: dict[int, int | None] = {}
        self._window = _one_window(programs)
        self._starts: dict[date, int] = {}

    def idle_end(self, counts_from: int) -> int | None:
        """When idle points die that count from an instant: by the version of then, the last before it that lets points
        be idle, or the first that does. None: never."""
        if counts_from not in self._idle_ends:
            self._idle_ends[counts_from] = self._idle_end(counts_from)
        return self._idle_ends[counts_from]

    def _idle_end(self, counts_from: int) -> int | None:
        if not self._idle:
            return None
        _, calendar, expiry = next((one for one in self._idle if one[0] <= counts_from), self._idle[-1])
        end = calendar.add(_moment(counts_from), expiry.period)
        return _instant(end) if end < END_OF_TIME else None

    def window(self, at: int) -> tuple[int, Callable[[int], date]] | None:
        """The start of the window of tiers that ends at an instant, and what tells the local day of one.

        None where versions count over different windows: then no bound is relied on.
        """
        if self._window is None:
            return None
        calendar, months = self._window
        day = calendar.day(_moment(at))
        if day not in self._starts:
            first = date(day.year, 1, 1) if months is None else shift_days(shift_months(day, -months), 1)
            self._starts[day] = _instant(calendar.day_start(first))
        return self._starts[day], lambda instant: calendar.day(_moment(instant))


def check_versions(versions: Sequence[Version], report: Callable[[int, str], None]) -> None:
    """Checks that versions are numbered, readable, in the order of their recording, and follow their chain.

    report: takes a version's number and what differs.
    """
    before: Version | None = None
    for row in versions:
        due = 1 if before is None else before.version + 1
        for missing in range(due, row.version):
            report(missing, "is missing")
        if before is not None and row.recorded_at < before.recorded_at:
            report(row.version, "was recorded before the version that it follows")
        if row.version == due and version_hash(GENESIS if before is None else before.hash, row) != row.hash:
            report(row.version, "does not follow the chain: it was changed")
        if program_of(row) is None:
            report(row.version, "cannot be read as a program")
        before = row


def program_of(row: Version) -> Program | None:
    """The version's program; None if it cannot be read."""
    return parse(row.source, "json" if row.format == "json" else "toml").program


def _one_window(programs: Sequence[tuple[Version, Program]]) -> tuple[Calendar, int | None] | None:
    """The one window, in months or None for the calendar year, of all versions that ever were in force."""
    first = max((row.version for row, _ in programs if row.effective_from == _BEGINNING), default=0)
    windows = {
        (calendar_of(program.time_zone), program.tier_policy.window)
        for row, program in programs
        if row.version >= first
    }
    if len(windows) != 1:
        return None
    calendar, window = windows.pop()
    return calendar, None if isinstance(window, WindowCalendarYear) else window.months


def _moment(instant: int) -> datetime:
    return _YEAR_2000 + timedelta(microseconds=instant)


def _instant(moment: datetime) -> int:
    return (moment - _YEAR_2000) // timedelta(microseconds=1)
