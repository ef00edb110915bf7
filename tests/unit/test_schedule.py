"""When scheduled work is due: wall times over clock changes, minutes, and what is said of a wrong schedule."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from loyalty.calendar import calendar_of
from loyalty.schedule import USUAL, Plan, parse_schedule

BERLIN = calendar_of(ZoneInfo("Europe/Berlin"))
SHANGHAI = calendar_of(ZoneInfo("Asia/Shanghai"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_a_daily_plan_begins_at_the_wall_time_of_the_programs_zone() -> None:
    plan = Plan("expiry", at=time(3))
    assert plan.latest(SHANGHAI, at("2026-03-02T02:59:59+08:00")) == at("2026-03-01T03:00+08:00")
    assert plan.latest(SHANGHAI, at("2026-03-02T03:00+08:00")) == at("2026-03-02T03:00+08:00")
    assert plan.following(SHANGHAI, at("2026-03-02T03:00+08:00")) == at("2026-03-03T03:00+08:00")


def test_a_wall_time_that_a_clock_change_skips_begins_after_the_gap() -> None:
    plan = Plan("expiry", at=time(2, 30))
    day = at("2026-03-29T12:00+02:00")
    assert plan.latest(BERLIN, day) == at("2026-03-29T03:30+02:00")
    assert plan.following(BERLIN, at("2026-03-29T01:59+01:00")) == at("2026-03-29T03:30+02:00")


def test_a_wall_time_that_comes_twice_begins_once_at_the_earlier() -> None:
    plan = Plan("expiry", at=time(2, 30))
    first, second = at("2026-10-25T02:30+02:00"), at("2026-10-25T02:30+01:00")
    assert plan.latest(BERLIN, first) == first
    assert plan.latest(BERLIN, second + timedelta(minutes=5)) == first
    assert plan.following(BERLIN, first) == at("2026-10-26T02:30+01:00")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Santiago", "Pacific/Apia", "Asia/Shanghai"])
@pytest.mark.parametrize("wall", [time(0, 0), time(0, 30), time(2, 30), time(23, 59)])
def test_slots_follow_each_other_without_a_gap_one_each_local_day(zone: str, wall: time) -> None:
    calendar, plan = calendar_of(ZoneInfo(zone)), Plan("expiry", at=wall)
    now = plan.latest(calendar, at("2011-06-01T00:00+00:00"))
    for _ in range(400):
        following = plan.following(calendar, now)
        assert plan.latest(calendar, following) == following
        assert plan.latest(calendar, following - timedelta(microseconds=1)) <= now
        assert timedelta(hours=20) <= following - now <= timedelta(hours=48)
        now = following


def test_minutes_count_from_the_full_hour() -> None:
    plan = Plan("hold-timeouts", every=timedelta(minutes=5))
    assert plan.latest(BERLIN, at("2026-03-02T12:04:59+00:00")) == at("2026-03-02T12:00+00:00")
    assert plan.following(BERLIN, at("2026-03-02T12:05+00:00")) == at("2026-03-02T12:10+00:00")


def test_the_usual_schedule_names_everything_and_off_nothing() -> None:
    assert parse_schedule(USUAL) == (
        Plan("expiry", at=time(3)),
        Plan("tier-review", at=time(4)),
        Plan("hold-timeouts", every=timedelta(minutes=5)),
    )
    assert parse_schedule("off") == ()


@pytest.mark.parametrize(
    "text", ["", "expiry", "expiry=3:00", "expiry=24:00", "backtest=03:00", "expiry=03:00,", "expiry=-5m"]
)
def test_a_wrong_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_schedule(text)
