"""When scheduled work is due: each day at a wall time of the program's zone, or every few minutes.

Pure: instants in, instants out. A run belongs to a slot, the instant at which it was to begin; of slots that were
missed only the latest counts, since one run does all that is due.
"""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Literal, get_args

from msgspec import Struct

from loyalty.calendar import Calendar, shift_days

ScheduledKind = Literal["expiry", "tier-review", "hold-timeouts"]
OFF = "off"
USUAL = "expiry=03:00,tier-review=04:00,hold-timeouts=5m"

_KINDS: tuple[ScheduledKind, ...] = get_args(ScheduledKind)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WALL = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_MINUTES = re.compile(r"([1-9]\d{0,3})m")


class Plan(Struct, frozen=True):
    """When one kind of work begins: daily `at` a wall time, or, without one, `every` so often (1 minute or more)."""

    kind: ScheduledKind
    at: time | None = None
    every: timedelta = timedelta(days=1)

    def latest(self, calendar: Calendar, now: datetime) -> datetime:
        """The last slot that has begun at `now`, in UTC. A wall time that a clock change skips begins after the gap,
        one that comes twice begins once, at the earlier."""
        if self.at is None:
            return _EPOCH + (now - _EPOCH) // self.every * self.every
        day = calendar.day(now)
        slots = [calendar.at(shift_days(day, days), self.at) for days in (-2, -1, 0, 1)]
        return max(slot for slot in slots if slot <= now)

    def following(self, calendar: Calendar, now: datetime) -> datetime:
        """The first slot after `now`, in UTC."""
        if self.at is None:
            return self.latest(calendar, now) + self.every
        day = calendar.day(now)
        slots = [calendar.at(shift_days(day, days), self.at) for days in (-1, 0, 1, 2)]
        return min(slot for slot in slots if slot > now)


def parse_schedule(text: str) -> tuple[Plan, ...]:
    """`expiry=03:00,tier-review=04:00,hold-timeouts=5m`: what is not named is not run; `off` runs nothing.

    Raises ValueError for anything else.
    """
    if text == OFF:
        return ()
    plans = tuple(_plan(part.strip()) for part in text.split(","))
    if len({plan.kind for plan in plans}) < len(plans):
        raise ValueError(text)
    return plans


def _plan(text: str) -> Plan:
    name, _, when = text.partition("=")
    kind = next((kind for kind in _KINDS if kind == name.strip()), None)
    if kind is None:
        raise ValueError(text)
    if (wall := _WALL.fullmatch(when.strip())) is not None:
        return Plan(kind, at=time(int(wall[1]), int(wall[2])))
    if (minutes := _MINUTES.fullmatch(when.strip())) is not None:
        return Plan(kind, every=timedelta(minutes=int(minutes[1])))
    raise ValueError(text)
