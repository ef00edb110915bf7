"""Local days and wall times where clocks change. Facts from the IANA time zone database."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from loyalty.calendar import (
    END_OF_TIME,
    START_OF_TIME,
    Calendar,
    Unit,
    calendar_of,
    just_before,
    shift_days,
    shift_months,
)
from loyalty.program.model import Period


def cal(zone: str) -> Calendar:
    return calendar_of(ZoneInfo(zone))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_one_calendar_serves_a_zone() -> None:
    assert cal("Asia/Shanghai") is cal("Asia/Shanghai")


def test_a_day_of_shanghai_starts_eight_hours_before_that_of_utc() -> None:
    shanghai = cal("Asia/Shanghai")
    assert shanghai.day_start(date(2026, 3, 1)) == utc("2026-02-28T16:00:00+00:00")
    assert shanghai.day(utc("2026-02-28T15:59:59.999999+00:00")) == date(2026, 2, 28)
    assert shanghai.day(utc("2026-02-28T16:00:00+00:00")) == date(2026, 3, 1)


def test_instants_of_any_offset_are_read_and_answers_are_utc() -> None:
    shanghai = cal("Asia/Shanghai")
    at = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=-5)))
    assert shanghai.local(at).isoformat() == "2026-03-02T01:00:00+08:00"
    for answer in (shanghai.add_days(at, 0), shanghai.add_days(at, 1), shanghai.add(at, Period(days=1))):
        assert answer.tzinfo is UTC


def test_a_repeated_wall_time_moves_to_its_date_not_to_its_day() -> None:
    st_johns = cal("America/St_Johns")
    again = utc("2009-10-31T23:30:00-03:30")
    assert st_johns.add_days(again, -1) == utc("2009-10-30T23:30:00-02:30")
    assert st_johns.add_days(again, 1) == utc("2009-11-01T23:30:00-03:30")


def test_times_that_carry_a_zone_are_moved_like_any_other() -> None:
    london = cal("Europe/London")
    at = datetime(2026, 3, 27, 9, tzinfo=ZoneInfo("America/New_York"))
    assert (
        london.add_days(at, 5) == london.add_days(at.astimezone(UTC), 5) == utc("2026-04-01T13:00:00+01:00")
    )


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        cal("UTC").local(datetime(2026, 3, 1))  # noqa: DTZ001 (naive is the point)


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("Europe/London", date(2026, 3, 29), "2026-03-29T00:00:00+00:00"),  # the change is at 01:00
        ("Europe/London", date(2026, 3, 30), "2026-03-29T23:00:00+00:00"),
        ("America/New_York", date(2026, 11, 1), "2026-11-01T04:00:00+00:00"),
        ("America/New_York", date(2026, 11, 2), "2026-11-02T05:00:00+00:00"),
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00:00+00:00"),  # midnight is skipped
        (
            "America/Sao_Paulo",
            date(2018, 2, 18),
            "2018-02-18T03:00:00+00:00",
        ),  # the evening before is doubled
        ("Africa/Cairo", date(2023, 4, 28), "2023-04-27T22:00:00+00:00"),  # midnight is skipped
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00+00:00"),  # midnight comes twice
        ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30:00+00:00"),  # 23:30 was followed by 00:30
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00+00:00"),  # the day does not exist
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00+00:00"),
    ],
)
def test_local_days_start_at_their_first_existing_instant(zone: str, day: date, start: str) -> None:
    assert cal(zone).day_start(day) == utc(start)
    assert cal(zone).local(utc(start) - timedelta(seconds=1)).date() < day


def test_a_skipped_day_is_nobodys_day() -> None:
    apia = cal("Pacific/Apia")
    assert apia.day(utc("2011-12-30T09:59:59+00:00")) == date(2011, 12, 29)
    assert apia.day(utc("2011-12-30T10:00:00+00:00")) == date(2011, 12, 31)
    assert apia.add_days(utc("2011-12-29T20:00:00-10:00"), 1) == utc("2011-12-31T20:00:00+14:00")


def test_an_hour_repeated_over_midnight_belongs_to_the_new_day() -> None:
    st_johns = cal("America/St_Johns")  # 2009-11-01 00:01 was followed by 2009-10-31 23:01
    again = utc("2009-10-31T23:30:00-03:30")
    assert st_johns.local(again).date() == date(2009, 10, 31)
    assert st_johns.day(again) == date(2009, 11, 1)
    assert st_johns.day(utc("2009-10-31T23:30:00-02:30")) == date(2009, 10, 31)


def test_skipped_times_move_forward_by_the_gap() -> None:
    assert cal("Europe/London").at(date(2026, 3, 29), time(1, 30)) == utc("2026-03-29T02:30:00+01:00")
    assert cal("America/New_York").at(date(2026, 3, 8), time(2, 15)) == utc("2026-03-08T03:15:00-04:00")
    assert cal("America/Sao_Paulo").at(date(2018, 11, 4), time(0, 10)) == utc("2018-11-04T01:10:00-02:00")


def test_of_doubled_times_the_earlier_is_meant() -> None:
    assert cal("Europe/London").at(date(2026, 10, 25), time(1, 30)) == utc("2026-10-25T01:30:00+01:00")
    assert cal("Europe/London").at(date(2026, 10, 25), time(1, 30, fold=1)) == utc(
        "2026-10-25T01:30:00+01:00"
    )
    later = utc("2026-10-25T01:30:00+00:00")
    assert cal("Europe/London").add_days(later, 0) == later
    assert cal("Europe/London").add_days(later, 1) == utc("2026-10-26T01:30:00+00:00")


def test_a_period_keeps_the_wall_time() -> None:
    london = cal("Europe/London")
    assert london.add(utc("2026-03-28T09:00:00+00:00"), Period(days=1)) == utc("2026-03-29T09:00:00+01:00")
    assert london.add(utc("2026-02-28T01:30:00+00:00"), Period(days=29)) == utc("2026-03-29T02:30:00+01:00")
    assert london.add(utc("2026-01-15T09:00:00+00:00"), Period(months=6)) == utc("2026-07-15T09:00:00+01:00")
    assert london.add(utc("2026-07-15T09:00:00+01:00"), Period(years=1)) == utc("2027-07-15T09:00:00+01:00")


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2028, 2, 29), 48, date(2032, 2, 29)),
        (date(2100, 1, 31), 1, date(2100, 2, 28)),
        (date(2000, 1, 31), 1, date(2000, 2, 29)),
        (date(2026, 10, 31), 4, date(2027, 2, 28)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 1, 15), -13, date(2024, 12, 15)),
        (date(9999, 12, 1), 1, date.max),
        (date(1, 1, 1), -1, date.min),
    ],
)
def test_months_keep_to_the_last_day_of_the_month(day: date, months: int, then: date) -> None:
    assert shift_months(day, months) == then


@pytest.mark.parametrize(
    ("at", "unit", "end"),
    [
        ("2026-05-10T13:00:00+08:00", "day", "2026-05-11T00:00:00+08:00"),
        ("2026-05-10T13:00:00+08:00", "month", "2026-06-01T00:00:00+08:00"),
        ("2026-05-10T13:00:00+08:00", "quarter", "2026-07-01T00:00:00+08:00"),
        ("2026-12-31T23:59:59+08:00", "quarter", "2027-01-01T00:00:00+08:00"),
        ("2026-05-10T13:00:00+08:00", "year", "2027-01-01T00:00:00+08:00"),
        ("2026-04-01T00:00:00+08:00", "day", "2026-04-01T00:00:00+08:00"),
        ("2026-04-01T00:00:00+08:00", "month", "2026-04-01T00:00:00+08:00"),
        ("2026-04-01T00:00:00+08:00", "quarter", "2026-04-01T00:00:00+08:00"),
        ("2026-04-01T00:00:00+08:00", "year", "2027-01-01T00:00:00+08:00"),
        ("2026-04-01T00:00:00.000001+08:00", "month", "2026-05-01T00:00:00+08:00"),
    ],
)
def test_rounding_up_leaves_a_boundary_where_it_is(at: str, unit: Unit, end: str) -> None:
    assert cal("Asia/Shanghai").unit_end(utc(at), unit) == utc(end)


def test_what_lies_beyond_the_calendar_is_its_end() -> None:
    shanghai = cal("Asia/Shanghai")
    now = utc("2026-05-10T13:00:00+08:00")
    for period in (Period(days=10**12), Period(months=10**9), Period(years=10**6), Period(days=3_650_000)):
        assert shanghai.add(now, period) == END_OF_TIME
        assert shanghai.add_rounded(now, period, "quarter") == END_OF_TIME
    assert shanghai.add_days(now, -(10**12)) == START_OF_TIME
    for zone in ("Asia/Shanghai", "America/New_York", "Pacific/Apia", "Pacific/Kiritimati", "UTC"):
        for instant in (
            START_OF_TIME,
            END_OF_TIME,
            datetime.min.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
        ):
            days = cal(zone)
            assert START_OF_TIME <= days.day_start(days.day(instant)) <= END_OF_TIME
            assert START_OF_TIME <= days.unit_end(instant, "year") <= END_OF_TIME
            assert START_OF_TIME <= days.add_days(instant, 1) <= END_OF_TIME
            assert START_OF_TIME <= days.at(days.day(instant), time(12)) <= END_OF_TIME
        assert cal(zone).day_start(date.min) == START_OF_TIME
        assert cal(zone).day_start(date.max) <= END_OF_TIME
    assert shift_days(date(2026, 1, 1), 10**12) == date.max
    assert shift_days(date(2026, 1, 1), -(10**12)) == date.min
    assert just_before(START_OF_TIME) == START_OF_TIME


def test_years_before_standard_time_have_days_too() -> None:
    shanghai = cal("Asia/Shanghai")  # local mean time, 8:05:43, until 1901
    assert shanghai.day_start(date(1850, 6, 1)) == utc("1850-05-31T15:54:17+00:00")
    assert shanghai.day(utc("1850-05-31T15:54:17+00:00")) == date(1850, 6, 1)
    assert shanghai.add(utc("1850-05-31T15:54:17+00:00"), Period(years=100)) == shanghai.day_start(
        date(1950, 6, 1)
    )
