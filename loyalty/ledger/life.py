"""How long points live: from when a lot may be spent, and when it dies.

Pure: the instants are arguments. Everything is decided when a lot is granted and then stands in its row, so
that a new program version never moves the expiry of points that a member already has. The one exception is
inactivity, where the whole account shares a deadline that moves with it. Source: DESIGN.md section 4, Time,
Expiry policies, Restoring.
"""

from datetime import date, datetime
from functools import lru_cache

from msgspec import Struct

from loyalty.calendar import END_OF_TIME, Calendar, shift_days
from loyalty.program.model import ExpireAfter, ExpireFixed, ExpireInactivity, PointsPolicy


class Life(Struct, frozen=True):
    """The life of a lot. Instants are in UTC; `expires_at` is exclusive, None means never.

    `idle`: the lot has no end of its own, it dies with its account's `idle_deadline`.
    """

    spendable_from: datetime
    expires_at: datetime | None
    idle: bool = False


def life_of(policy: PointsPolicy, calendar: Calendar, occurred_at: datetime, recorded_at: datetime) -> Life:
    """The life of points earned at `occurred_at` that the ledger learns of at `recorded_at` (both aware).

    The life starts when the points become spendable: `pending_days` local days later at the same wall time.
    If it would be over by `recorded_at` the grace of `on_arrival` applies; without one `expires_at` lies at
    or before `recorded_at` and the caller grants and expires the lot in one go. An end beyond the year 9999
    is never.
    """
    start = calendar.add_days(occurred_at, policy.pending_days)
    expiry = policy.expiry
    if isinstance(expiry, ExpireInactivity):
        return Life(spendable_from=start, expires_at=None, idle=True)
    if isinstance(expiry, ExpireAfter):
        if expiry.round_to is None:
            end = calendar.add(start, expiry.period)
        else:
            end = calendar.add_rounded(start, expiry.period, expiry.round_to)
    elif isinstance(expiry, ExpireFixed):
        end = _fixed_end(expiry, calendar, start)
    else:
        return Life(spendable_from=start, expires_at=None)
    if end >= END_OF_TIME:
        return Life(spendable_from=start, expires_at=None)
    return Life(spendable_from=start, expires_at=on_arrival(policy, calendar, end, recorded_at))


def on_arrival(
    policy: PointsPolicy, calendar: Calendar, expires_at: datetime, recorded_at: datetime
) -> datetime:
    """The end of a life that the ledger learns of at `recorded_at`.

    A life that is over by then (`expires_at <= recorded_at`) is given `late_grace_days` local days from
    `recorded_at`, at the same wall time. Without grace, or while it still lasts, the end stays as it is; a
    life is never cut, nor is one that has a minute left prolonged.
    """
    if expires_at > recorded_at or policy.late_grace_days == 0:
        return expires_at
    return calendar.add_days(recorded_at, policy.late_grace_days)


def idle_deadline(policy: PointsPolicy, calendar: Calendar, last_activity_at: datetime) -> datetime:
    """When all idle lots of an account die whose last activity (earn, redeem, hold) occurred then; exclusive.

    `END_OF_TIME` if the period leads beyond the year 9999. Raises ValueError if the program's expiry is of
    another kind: ask only for accounts that hold lots with `idle`, under the version that granted them.
    """
    if not isinstance(policy.expiry, ExpireInactivity):
        raise ValueError("only a program with inactivity expiry has an idle deadline")
    return calendar.add(last_activity_at, policy.expiry.period)


def restored_expiry(
    policy: PointsPolicy, calendar: Calendar, expires_at: datetime | None, at: datetime
) -> datetime | None:
    """The end of points that are given back at `at`, which had `expires_at` (for idle lots: the deadline).

    They keep it while it lies ahead; None stays None. If it has passed they live `restore_grace_days` local
    days from `at`, at the same wall time; when that is zero the answer is `at` itself: dead at once.
    """
    if expires_at is None or expires_at > at:
        return expires_at
    return calendar.add_days(at, policy.restore_grace_days)


def _fixed_end(expiry: ExpireFixed, calendar: Calendar, start: datetime) -> datetime:
    """The first end of the yearly day that lies after `start` and leaves `min_days` local days of life."""
    earliest = calendar.add_days(start, expiry.min_days)
    year = calendar.day(earliest).year
    if (expiry.month, expiry.day) == (12, 31):  # it ends with the first instant of the next year
        year = max(year - 1, 1)
    for candidate in range(year, 10000):
        end = _yearly_end(calendar, candidate, expiry.month, expiry.day)
        if end >= earliest and end > start:
            return end
    return END_OF_TIME


@lru_cache(maxsize=4096)
def _yearly_end(calendar: Calendar, year: int, month: int, day: int) -> datetime:
    """The end of the local day in that year; 29 February is 28 February in other years, as for birthdays."""
    last = shift_days(date(year, 3, 1), -1) if (month, day) == (2, 29) else date(year, month, day)
    return calendar.day_start(shift_days(last, 1))
