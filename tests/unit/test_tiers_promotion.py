"""Promotions: when a tier is reached, how long it is held, and purchases that arrive late."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loyalty.calendar import calendar_of
from loyalty.program.model import Program, Qualify, Tier, TierPolicy, WindowCalendarYear, WindowRolling
from loyalty.tiers.assess import enrolment, given, promotions, rows_from, verdict
from loyalty.tiers.history import standing_after, standing_of, tier_at, timeline
from loyalty.tiers.model import Change, Needed, Qualifying, Standing
from loyalty.tiers.window import metric, next_thresholds, progress

ZONE = ZoneInfo("Asia/Shanghai")
CALENDAR = calendar_of(ZONE)
TIERS = (
    Tier("ordinary"),
    Tier("silver", Qualify(spend_amount=500_000, visits=12)),
    Tier("gold", Qualify(spend_amount=2_000_000)),
)


def program(tiers: tuple[Tier, ...] = TIERS, **policy: Any) -> Program:
    return Program(name="Test", currency="CNY", time_zone=ZONE, tiers=tiers, tier_policy=TierPolicy(**policy))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def bought(day: str, amount: int = 0, clock: str = "12:00") -> Qualifying:
    return Qualifying(at=local(f"{day}T{clock}"), amount=amount)


ENROLLED = enrolment(program(), local("2024-01-01"))
ORDINARY = Standing(tier="ordinary", since=ENROLLED.at)


def added(
    rows: Sequence[Qualifying], row: Qualifying, standing: Standing = ORDINARY, **policy: Any
) -> list[Change]:
    """The promotions when `row` arrives after `rows`, for a member whose history is the enrolment alone."""
    return promotions(program(**policy), CALENDAR, standing, [*rows, row], row.at, [ENROLLED])


def test_below_the_threshold_nothing_changes() -> None:
    assert added([], bought("2026-03-15", 499_999)) == []


def test_a_tier_is_reached_at_the_purchase_that_meets_it() -> None:
    row = bought("2026-03-15", 500_000)
    (change,) = added([], row)
    assert change == Change(
        at=row.at,
        tier="silver",
        previous="ordinary",
        reason="promotion",
        since=row.at,
        valid_until=local("2027-03-16"),
        verdict_at=local("2027-03-16"),
        ground_at=row.at,
    )


def test_several_steps_are_taken_at_once() -> None:
    (change,) = added([], bought("2026-03-15", 2_000_000))
    assert (change.previous, change.tier) == ("ordinary", "gold")


def test_visits_are_local_days_with_a_base_above_zero() -> None:
    rows = [bought(f"2026-03-{day:02}", 1) for day in range(1, 12)]
    rows += [bought("2026-03-11", 1, "23:00"), bought("2026-03-12", 0)]
    returned = [bought("2026-03-13", 5), bought("2026-03-13", -5)]
    found = metric(WindowRolling(), CALENDAR, rows + returned, local("2026-03-31"))
    assert (found.visits, found.spend_amount) == (11, 12)
    assert [change.tier for change in added(rows + returned, bought("2026-03-14", 1))] == ["silver"]


def test_a_tier_may_ask_for_spend_and_visits() -> None:
    tiers = (Tier("ordinary"), Tier("silver", Qualify(spend_amount=100, visits=2, need="all")))
    rows = [bought("2026-03-01", 100), bought("2026-03-02", 1)]
    assert promotions(program(tiers), CALENDAR, ORDINARY, rows[:1], rows[0].at) == []
    (change,) = promotions(program(tiers), CALENDAR, ORDINARY, rows, rows[1].at)
    assert change.since == rows[1].at


def test_a_rolling_window_begins_with_the_day_after_the_same_day() -> None:
    row = bought("2026-03-15", 400_000)
    assert added([bought("2025-03-15", 100_000, "23:59")], row) == []
    assert len(added([bought("2025-03-16", 100_000, "00:00")], row)) == 1
    found = metric(WindowRolling(months=12), CALENDAR, [], row.at)
    assert found.from_ == local("2025-03-16")


def test_a_calendar_year_begins_anew() -> None:
    window = WindowCalendarYear()
    row = bought("2026-01-01", 400_000, "00:00")
    assert added([bought("2025-12-31", 400_000)], row, window=window) == []
    (change,) = added([row], bought("2026-05-10", 100_000), window=window)
    assert change.valid_until == local("2028-01-01")  # 2027-05-10, to the end of that year


def test_grace_moves_the_verdict_alone() -> None:
    (change,) = added([], bought("2026-03-15", 500_000), grace_days=10)
    assert (change.valid_until, change.verdict_at) == (local("2027-03-16"), local("2027-03-26"))


def test_a_late_purchase_promotes_from_its_own_time() -> None:
    rows = [bought("2026-03-10", 300_000), bought("2026-03-20", 100_000)]
    (change,) = added(rows, bought("2026-03-12", 200_000))
    assert change.since == local("2026-03-12T12:00")


def test_a_late_purchase_promotes_from_the_later_row_that_meets_the_threshold_with_it() -> None:
    rows = [bought("2026-03-10", 300_000), bought("2026-03-20", 100_000)]
    (change,) = added(rows, bought("2026-03-12", 100_000))
    assert change.since == rows[1].at


def test_a_late_purchase_may_bring_two_promotions() -> None:
    rows = [bought("2026-03-20", 1_600_000)]
    silver = added([], rows[0])
    standing = standing_after(program(), ORDINARY, silver[0])
    late = bought("2026-03-12", 500_000)
    found = promotions(program(), CALENDAR, standing, [*rows, late], late.at, [ENROLLED, *silver])
    assert [(change.previous, change.tier, change.since) for change in found] == [
        ("ordinary", "silver", late.at),
        ("silver", "gold", rows[0].at),
    ]
    history = [ENROLLED, *silver, *found]
    assert tier_at(program(), history, local("2026-03-15")) == "silver"
    assert [(held.tier, held.from_) for held in timeline(program(), history)] == [
        ("ordinary", ENROLLED.at),
        ("silver", late.at),
        ("gold", rows[0].at),
    ]


def test_a_late_promotion_below_the_tier_held_leaves_the_standing() -> None:
    big, late = bought("2026-03-20", 2_000_000), bought("2026-03-12", 500_000)
    gold = added([], big)
    standing = standing_after(program(), ORDINARY, gold[0])
    found = promotions(program(), CALENDAR, standing, [big, late], late.at, [ENROLLED, *gold])
    assert [change.tier for change in found] == ["silver"]
    history = [ENROLLED, *gold, *found]
    assert standing_of(program(), history) == standing
    assert tier_at(program(), history, local("2026-03-19")) == "silver"
    assert tier_at(program(), history, big.at) == "gold"


def test_a_purchase_before_the_enrolment_counts() -> None:
    row = bought("2023-12-20", 500_000)
    (change,) = added([], row)
    history = [ENROLLED, change]
    assert tier_at(program(), history, local("2023-12-19")) == "ordinary"
    assert tier_at(program(), history, ENROLLED.at) == "silver"


def fallen() -> tuple[list[Qualifying], list[Change], Standing]:
    """Silver from 2026-03-15, not renewed on 2027-03-16, with rows that would have been nearly enough."""
    rows = [bought("2026-03-15", 500_000), bought("2026-06-01", 450_000)]
    history = [ENROLLED, *added([], rows[0])]
    standing = standing_of(program(), history)
    assert standing is not None
    history.append(verdict(program(), CALENDAR, standing, rows))
    after = standing_of(program(), history)
    assert after is not None
    assert after.tier == "ordinary"
    return rows, history, after


def test_a_late_purchase_that_would_have_renewed_promotes_from_the_verdict_on() -> None:
    rows, history, standing = fallen()
    late = bought("2026-07-01", 50_000)
    assert rows_from(program(), CALENDAR, standing, late.at) <= local("2026-03-16")
    (change,) = promotions(program(), CALENDAR, standing, [*rows, late], late.at, history)
    assert (change.tier, change.since) == ("silver", local("2027-03-16"))
    assert tier_at(program(), [*history, change], local("2027-03-15")) == "silver"
    assert tier_at(program(), [*history, change], local("2027-03-17")) == "silver"


@pytest.mark.parametrize(
    ("late", "found"),
    [
        ("2026-03-15T23:59:59.999999", []),  # the day that promoted is not in the window that renews
        ("2026-03-16T00:00:00", ["silver"]),
        ("2027-03-15T23:59:59.999999", ["silver"]),
    ],
)
def test_the_window_of_a_verdict_has_its_first_and_its_last_instant(late: str, found: list[str]) -> None:
    rows, history, standing = fallen()
    row = Qualifying(at=local(late), amount=50_000)
    changes = promotions(program(), CALENDAR, standing, [*rows, row], row.at, history)
    assert [(change.tier, change.since) for change in changes] == [
        (tier, local("2027-03-16")) for tier in found
    ]


def test_a_late_purchase_does_not_revive_a_period_that_was_judged() -> None:
    rows, history, standing = fallen()
    late = bought("2025-06-01", 2_000_000)  # gold then, but in no window that ends at the verdict or later
    assert promotions(program(), CALENDAR, standing, [*rows, late], late.at, history) == []


def test_what_was_given_is_not_shortened_by_older_purchases() -> None:
    gift = given(program(), CALENDAR, "silver", local("2026-04-01"), valid_until=local("2028-01-01"))
    standing = standing_of(program(), [gift])
    assert standing is not None
    row = bought("2026-01-10", 600_000)
    assert promotions(program(), CALENDAR, standing, [row], row.at, [gift]) == []
    assert standing.valid_until == standing.verdict_at == local("2028-01-01")


def test_lowered_thresholds_promote_with_the_next_purchase_not_before() -> None:
    tiers = (Tier("ordinary"), Tier("silver", Qualify(spend_amount=100)))
    rows = [bought("2026-03-01", 300), bought("2026-04-01", 1)]
    (change,) = promotions(program(tiers), CALENDAR, ORDINARY, rows, rows[1].at)
    assert change.since == rows[1].at


@pytest.mark.parametrize(
    ("tier", "bounds"),
    [("ordinary", (500_000, 12)), ("silver", (2_000_000, None)), ("gold", (None, None))],
)
def test_bounds_are_the_least_that_could_promote(tier: str, bounds: tuple[int | None, int | None]) -> None:
    assert next_thresholds(program(), tier) == bounds


def test_bounds_of_a_tier_that_needs_all_are_its_spend() -> None:
    tiers = (Tier("ordinary"), Tier("silver", Qualify(spend_amount=100, visits=2, need="all")))
    assert next_thresholds(program(tiers), "ordinary") == (100, None)


def test_progress_says_what_is_still_needed() -> None:
    rows = [bought("2026-03-01", 120_000), bought("2026-03-02", 1)]
    found = progress(program(), CALENDAR, ORDINARY, rows, local("2026-03-20T09:00"))
    assert (found.spend_amount, found.visits, found.from_) == (120_001, 2, local("2025-03-21"))
    assert found.next == Needed(tier="silver", spend_amount=379_999, visits=10, need="any")
    top = Standing(tier="gold", since=ENROLLED.at)
    assert progress(program(), CALENDAR, top, rows, local("2026-03-20")).next is None
    above = Standing(tier="silver", since=ENROLLED.at)
    assert progress(program(), CALENDAR, above, rows, local("2026-03-20")).next == Needed(
        tier="gold", spend_amount=1_879_999, visits=None, need="any"
    )


def test_an_unknown_tier_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="platinum"):
        next_thresholds(program(), "platinum")
