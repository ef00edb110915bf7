"""The life of a lot: expiry policies, pending points, late arrivals, points given back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from loyalty.calendar import END_OF_TIME, calendar_of
from loyalty.ledger.life import Life, idle_deadline, life_of, restored_expiry
from loyalty.program.model import (
    ExpireAfter,
    ExpireFixed,
    ExpireInactivity,
    ExpireNever,
    Expiry,
    Period,
    PointsPolicy,
)

SHANGHAI = calendar_of(ZoneInfo("Asia/Shanghai"))
LONDON = calendar_of(ZoneInfo("Europe/London"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


BOUGHT = utc("2026-01-31T18:30:00+08:00")


def life(expiry: Expiry, *, pending_days: int = 0, at: datetime = BOUGHT) -> Life:
    return life_of(PointsPolicy(expiry=expiry, pending_days=pending_days), SHANGHAI, at, at)


def test_points_that_never_expire_have_no_end() -> None:
    assert life(ExpireNever()) == Life(spendable_from=BOUGHT, expires_at=None, idle=False)


@pytest.mark.parametrize(
    ("expiry", "end"),
    [
        (ExpireAfter(Period(days=30)), "2026-03-02T18:30:00+08:00"),
        (ExpireAfter(Period(months=1)), "2026-02-28T18:30:00+08:00"),
        (ExpireAfter(Period(years=1)), "2027-01-31T18:30:00+08:00"),
        (ExpireAfter(Period(months=1), "day"), "2026-03-01T00:00:00+08:00"),
        (ExpireAfter(Period(months=12), "month"), "2027-02-01T00:00:00+08:00"),
        (ExpireAfter(Period(months=12), "quarter"), "2027-04-01T00:00:00+08:00"),
        (ExpireAfter(Period(months=12), "year"), "2028-01-01T00:00:00+08:00"),
    ],
)
def test_points_live_for_a_period_rounded_up_to_a_local_unit(expiry: Expiry, end: str) -> None:
    assert life(expiry).expires_at == utc(end)


def test_a_life_that_ends_on_the_boundary_is_not_rounded_past_it() -> None:
    midnight = utc("2026-03-01T00:00:00+08:00")
    expiry = ExpireAfter(Period(months=12), "month")
    assert life(expiry, at=midnight).expires_at == utc("2027-03-01T00:00:00+08:00")
    assert life(expiry, at=utc("2026-03-01T00:00:01+08:00")).expires_at == utc("2027-04-01T00:00:00+08:00")
    assert life(expiry, at=midnight).expires_at == utc("2027-03-01T00:00:00+08:00")


def test_pending_points_start_their_life_when_they_become_spendable() -> None:
    found = life(ExpireAfter(Period(months=1)), pending_days=14)
    assert found.spendable_from == utc("2026-02-14T18:30:00+08:00")
    assert found.expires_at == utc("2026-03-14T18:30:00+08:00")


def test_pending_points_become_spendable_at_the_same_wall_time() -> None:
    bought = utc("2026-03-28T01:30:00+00:00")
    found = life_of(PointsPolicy(pending_days=1), LONDON, bought, bought)
    assert found.spendable_from == utc("2026-03-29T02:30:00+01:00")


@pytest.mark.parametrize(
    ("expiry", "bought", "end"),
    [
        (ExpireFixed(12, 31), "2026-01-31T18:30:00+08:00", "2027-01-01T00:00:00+08:00"),
        (ExpireFixed(12, 31), "2026-12-31T23:59:59+08:00", "2027-01-01T00:00:00+08:00"),
        (ExpireFixed(12, 31), "2027-01-01T00:00:00+08:00", "2028-01-01T00:00:00+08:00"),
        (ExpireFixed(12, 31, 90), "2026-10-03T00:00:00+08:00", "2027-01-01T00:00:00+08:00"),
        (ExpireFixed(12, 31, 90), "2026-10-03T00:00:01+08:00", "2028-01-01T00:00:00+08:00"),
        (ExpireFixed(6, 30, 800), "2026-01-31T18:30:00+08:00", "2028-07-01T00:00:00+08:00"),
        (ExpireFixed(2, 29), "2026-01-31T18:30:00+08:00", "2026-03-01T00:00:00+08:00"),
        (ExpireFixed(2, 29), "2028-01-31T18:30:00+08:00", "2028-03-01T00:00:00+08:00"),
        (ExpireFixed(2, 29, 30), "2026-01-31T18:30:00+08:00", "2027-03-01T00:00:00+08:00"),
    ],
)
def test_a_fixed_day_ends_lives_once_they_are_long_enough(expiry: Expiry, bought: str, end: str) -> None:
    assert life(expiry, at=utc(bought)).expires_at == utc(end)


def test_idle_points_die_with_their_account() -> None:
    policy = PointsPolicy(expiry=ExpireInactivity(Period(months=12)))
    assert life_of(policy, SHANGHAI, BOUGHT, BOUGHT) == Life(
        spendable_from=BOUGHT, expires_at=None, idle=True
    )
    assert idle_deadline(policy, SHANGHAI, BOUGHT) == utc("2027-01-31T18:30:00+08:00")
    with pytest.raises(ValueError, match="inactivity"):
        idle_deadline(PointsPolicy(), SHANGHAI, BOUGHT)


def test_a_lot_dead_on_arrival_stays_dead_without_grace() -> None:
    policy = PointsPolicy(expiry=ExpireAfter(Period(months=1)))
    late = utc("2026-02-28T18:30:00+08:00")
    assert life_of(policy, SHANGHAI, BOUGHT, late).expires_at == late
    assert life_of(policy, SHANGHAI, BOUGHT, late + timedelta(days=9)).expires_at == late


def test_late_grace_counts_from_the_arrival_and_only_for_the_dead() -> None:
    policy = PointsPolicy(expiry=ExpireAfter(Period(months=1)), late_grace_days=7)
    dead = utc("2026-02-28T18:30:00+08:00")
    assert life_of(policy, SHANGHAI, BOUGHT, dead).expires_at == utc("2026-03-07T18:30:00+08:00")
    assert life_of(policy, SHANGHAI, BOUGHT, utc("2026-02-28T18:29:59+08:00")).expires_at == dead
    assert life_of(policy, SHANGHAI, BOUGHT, dead).spendable_from == BOUGHT


def test_points_given_back_keep_their_expiry_while_it_lies_ahead() -> None:
    end = utc("2026-02-28T18:30:00+08:00")
    policy = PointsPolicy(restore_grace_days=30)
    assert restored_expiry(policy, SHANGHAI, end, BOUGHT) == end
    assert restored_expiry(policy, SHANGHAI, None, BOUGHT) is None


def test_points_given_back_too_late_live_for_the_grace_or_not_at_all() -> None:
    end = BOUGHT
    assert restored_expiry(PointsPolicy(), SHANGHAI, end, BOUGHT) == BOUGHT
    assert restored_expiry(PointsPolicy(restore_grace_days=30), SHANGHAI, end, BOUGHT) == utc(
        "2026-03-02T18:30:00+08:00"
    )


def test_an_end_beyond_the_calendar_is_never() -> None:
    for expiry in (
        ExpireAfter(Period(years=9000)),
        ExpireAfter(Period(days=10**10), "quarter"),
        ExpireFixed(12, 31, 10**10),
    ):
        assert life(expiry).expires_at is None
    policy = PointsPolicy(expiry=ExpireInactivity(Period(years=9000)), restore_grace_days=10**10)
    assert idle_deadline(policy, SHANGHAI, BOUGHT) == END_OF_TIME
    assert restored_expiry(policy, SHANGHAI, BOUGHT, BOUGHT) == END_OF_TIME
