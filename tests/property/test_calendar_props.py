"""The calendar against slow readings of the same rules, over zones with every kind of clock change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from loyalty.calendar import Calendar, Unit, calendar_of
from loyalty.program.model import Period

ZONES = [
    "Asia/Shanghai",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Havana",
    "Africa/Cairo",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
]
calendars = st.sampled_from(ZONES).map(lambda name: calendar_of(ZoneInfo(name)))
instants = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (as Hypothesis wants)
# The hours in which something happens: around the changes of the zones above.
changes = st.sampled_from(
    [
        "2018-11-04T03:00",
        "2018-02-18T02:00",
        "2009-11-01T02:31",
        "2011-12-30T10:00",
        "2023-04-27T22:00",
        "2026-03-29T01:00",
        "2026-10-25T01:00",
        "2026-03-08T07:00",
        "2026-11-01T05:00",
        "2026-04-04T15:00",
    ]
).flatmap(
    lambda text: st.timedeltas(timedelta(hours=-30), timedelta(hours=30)).map(
        lambda off: datetime.fromisoformat(text).replace(tzinfo=UTC) + off
    )
)
moments = instants | changes
units = st.sampled_from(["day", "month", "quarter", "year"])


@given(calendars, moments)
def test_every_instant_lies_in_exactly_its_day(calendar: Calendar, at: datetime) -> None:
    day = calendar.day(at)
    assert calendar.day_start(day) <= at < calendar.day_start(day + timedelta(days=1))


@given(calendars, moments)
def test_no_earlier_instant_shows_the_date(calendar: Calendar, at: datetime) -> None:
    start = calendar.day_start(at.date())
    for minutes in (0, 1, 29, 30, 59, 60, 61, 120, 1440):
        before = start - timedelta(minutes=minutes, microseconds=1)
        assert before.astimezone(calendar.zone).date() < at.date()


@given(calendars, moments, st.integers(-2000, 2000))
def test_added_days_keep_the_wall_time_or_move_it_forward_by_a_gap(
    calendar: Calendar, at: datetime, days: int
) -> None:
    wall = at.astimezone(calendar.zone).replace(tzinfo=None, fold=0)
    then = calendar.add_days(at, days)
    if days == 0:
        assert then == at
        return
    meant = wall + timedelta(days=days)
    shown = then.astimezone(calendar.zone).replace(tzinfo=None, fold=0)
    exists = meant.replace(tzinfo=calendar.zone).astimezone(UTC).astimezone(calendar.zone)
    if exists.replace(tzinfo=None, fold=0) == meant:
        assert shown == meant
        assert then.astimezone(calendar.zone).fold == 0
    else:
        assert meant < shown <= meant + timedelta(days=1)
    assert then == calendar.at(meant.date(), meant.time())


@given(calendars, moments, moments, st.integers(0, 40), st.integers(0, 500))
def test_later_starts_never_end_earlier_by_a_day(
    calendar: Calendar, one: datetime, two: datetime, months: int, days: int
) -> None:
    period = Period(months=months, days=days)
    first, last = sorted([calendar.add(one, period), calendar.add(two, period)], key=lambda end: end)
    if one > two:
        one, two = two, one
    assert calendar.day(calendar.add(one, period)) <= calendar.day(calendar.add(two, period)) + timedelta(1)
    assert first <= last


@given(calendars, moments, units)
def test_rounding_up_reaches_the_first_boundary_that_is_not_before(
    calendar: Calendar, at: datetime, unit: Unit
) -> None:
    def boundary(day: date) -> bool:
        if unit == "month":
            return day.day == 1
        if unit == "quarter":
            return day.day == 1 and day.month % 3 == 1
        return unit == "day" or (day.day, day.month) == (1, 1)

    day = calendar.day(at)
    while not (boundary(day) and calendar.day_start(day) >= at):
        day += timedelta(days=1)
    end = calendar.unit_end(at, unit)
    assert end == calendar.day_start(day)
    assert calendar.unit_end(end, unit) == end


@given(calendars, moments, units, st.integers(0, 30), st.integers(0, 400), st.booleans())
def test_what_is_remembered_is_what_would_be_computed(
    calendar: Calendar, at: datetime, unit: Unit, months: int, days: int, midnight: bool
) -> None:
    if midnight:
        at = calendar.day_start(calendar.day(at))
    period = Period(months=months, days=days)
    fresh = Calendar(calendar.zone)
    plain = fresh.unit_end(fresh.add(at, period), unit)
    for _ in range(2):
        assert calendar.add_rounded(at, period, unit) == plain
