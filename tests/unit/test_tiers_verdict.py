"""Verdicts, returns and merges: how a tier is renewed, lost, and handed over."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loyalty.calendar import calendar_of
from loyalty.program.model import Program, Qualify, Tier, TierPolicy, WindowCalendarYear
from loyalty.tiers.assess import enrolment, given, merged, on_return, promotions, verdict
from loyalty.tiers.history import standing_after, standing_of, tier_at, timeline
from loyalty.tiers.model import Change, Held, Qualifying, Standing

ZONE = ZoneInfo("Asia/Shanghai")
CALENDAR = calendar_of(ZONE)
TIERS = (
    Tier("ordinary"),
    Tier("silver", Qualify(spend_amount=500_000)),
    Tier("gold", Qualify(spend_amount=2_000_000)),
)


def program(**policy: Any) -> Program:
    return Program(name="Test", currency="CNY", time_zone=ZONE, tiers=TIERS, tier_policy=TierPolicy(**policy))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def bought(day: str, amount: int, clock: str = "12:00") -> Qualifying:
    return Qualifying(at=local(f"{day}T{clock}"), amount=amount)


ENROLLED = enrolment(program(), local("2024-01-01"))
REACHED = bought("2026-03-15", 2_000_000)


def gold(**policy: Any) -> tuple[Program, list[Change], Standing]:
    """A member in gold since 2026-03-15, valid to the end of 2027-03-15."""
    rules = program(**policy)
    start = Standing(tier="ordinary", since=ENROLLED.at)
    history = [ENROLLED, *promotions(rules, CALENDAR, start, [REACHED], REACHED.at, [ENROLLED])]
    standing = standing_of(rules, history)
    assert standing is not None
    assert standing.tier == "gold"
    return rules, history, standing


def test_enough_in_the_elapsed_validity_renews_from_its_last_day() -> None:
    rules, _, standing = gold()
    change = verdict(rules, CALENDAR, standing, [REACHED, bought("2027-03-15", 2_000_000, "23:59")])
    assert (change.tier, change.previous, change.reason) == ("gold", "gold", "renewal")
    assert change.at == local("2027-03-16")
    assert change.since == REACHED.at
    assert change.valid_until == change.verdict_at == local("2028-03-16")


def test_the_day_that_promoted_and_the_day_after_do_not_count_for_the_renewal() -> None:
    rules, _, standing = gold()
    rows = [REACHED, bought("2026-03-15", 9_000_000, "23:00"), bought("2027-03-16", 9_000_000, "00:00")]
    assert verdict(rules, CALENDAR, standing, rows).reason == "review"


def test_a_tier_falls_one_step_whatever_was_bought() -> None:
    rules, _, standing = gold()
    change = verdict(rules, CALENDAR, standing, [REACHED])
    assert (change.tier, change.previous, change.reason) == ("silver", "gold", "review")
    assert change.at == change.since == local("2027-03-16")
    assert change.valid_until == local("2028-03-16")


@pytest.mark.parametrize(("spent", "tier"), [(0, "ordinary"), (499_999, "ordinary"), (500_000, "silver")])
def test_a_tier_falls_to_what_is_qualified(spent: int, tier: str) -> None:
    rules, _, standing = gold(downgrade="to_qualified")
    change = verdict(rules, CALENDAR, standing, [REACHED, bought("2026-09-01", spent)])
    assert (change.tier, change.reason) == (tier, "review")
    assert (change.valid_until is None) == (change.verdict_at is None) == (tier == "ordinary")


def test_who_buys_at_the_very_instant_of_a_fall_is_promoted_in_the_history_too() -> None:
    rules, history, standing = gold(downgrade="one_step")
    history.append(verdict(rules, CALENDAR, standing, [REACHED]))
    standing = standing_after(rules, standing, history[-1])
    history.append(verdict(rules, CALENDAR, standing, [REACHED]))
    at = history[-1].at
    again = Qualifying(at=at, amount=500_000)
    fallen = standing_after(rules, standing, history[-1])
    history += promotions(rules, CALENDAR, fallen, [REACHED, again], at, history)
    assert [(held.from_, held.tier, held.reason) for held in timeline(rules, history)] == [
        (ENROLLED.at, "ordinary", "enrolment"),
        (REACHED.at, "gold", "promotion"),
        (local("2027-03-16"), "silver", "review"),
        (local("2028-03-16"), "silver", "promotion"),
    ]


def test_a_program_that_never_lowers_renews() -> None:
    rules, _, standing = gold(downgrade="never")
    change = verdict(rules, CALENDAR, standing, [])
    assert (change.tier, change.reason, change.valid_until) == ("gold", "renewal", local("2028-03-16"))


def test_grace_delays_the_fall_but_neither_window_nor_validity() -> None:
    rules, history, standing = gold(grace_days=30)
    change = verdict(rules, CALENDAR, standing, [REACHED, bought("2027-03-20", 2_000_000)])
    assert (change.tier, change.at, change.since) == ("silver", local("2027-04-15"), local("2027-04-15"))
    assert (change.valid_until, change.verdict_at) == (local("2028-03-16"), local("2028-04-15"))
    assert tier_at(rules, [*history, change], local("2027-04-14T23:59")) == "gold"


def test_each_elapsed_validity_is_decided_in_turn() -> None:
    rules, history, standing = gold()
    rows = [REACHED, bought("2026-06-01", 2_000_000), bought("2028-06-01", 500_000)]
    while standing.verdict_at is not None:
        history.append(verdict(rules, CALENDAR, standing, rows))
        standing = standing_after(rules, standing, history[-1])
    assert timeline(rules, history) == [
        Held("ordinary", ENROLLED.at, REACHED.at, "enrolment"),
        Held("gold", REACHED.at, local("2027-03-16"), "promotion"),
        Held("gold", local("2027-03-16"), local("2028-03-16"), "renewal"),
        Held("silver", local("2028-03-16"), local("2029-03-16"), "review"),
        Held("silver", local("2029-03-16"), local("2030-03-16"), "renewal"),
        Held("ordinary", local("2030-03-16"), None, "review"),
    ]
    assert standing_of(rules, history) == standing


def test_calendar_years_are_judged_by_the_year_that_ended() -> None:
    rules, _, standing = gold(window=WindowCalendarYear())
    assert standing.valid_until == local("2028-01-01")
    rows = [bought("2026-12-31", 9_000_000), bought("2027-01-01", 2_000_000, "00:00")]
    change = verdict(rules, CALENDAR, standing, rows)
    assert (change.reason, change.valid_until) == ("renewal", local("2029-01-01"))
    assert verdict(rules, CALENDAR, standing, rows[:1]).reason == "review"


def test_the_lowest_tier_is_never_judged() -> None:
    with pytest.raises(ValueError, match="no verdict"):
        verdict(program(), CALENDAR, Standing(tier="ordinary", since=ENROLLED.at), [])


def test_a_validity_that_starts_on_a_leap_day_ends_on_the_28th() -> None:
    change = given(program(), CALENDAR, "silver", local("2028-02-29T10:00"))
    assert change.valid_until == local("2029-03-01")


def test_a_validity_beyond_the_calendar_has_no_end() -> None:
    change = given(program(validity_months=10**6), CALENDAR, "silver", local("2028-02-29T10:00"))
    assert (change.valid_until, change.verdict_at) == (None, None)


RETURNED_AT = local("2026-05-02T15:00")


def returned(rules: Program, standing: Standing, amount: int, *more: Qualifying) -> Change | None:
    goods = [Qualifying(at=REACHED.at, amount=-amount)]
    return on_return(rules, CALENDAR, standing, [REACHED, *goods, *more], goods, RETURNED_AT)


def test_a_return_that_takes_the_ground_away_lowers_at_once_if_the_program_says_so() -> None:
    rules, history, standing = gold(on_return="immediate")
    change = returned(rules, standing, 1)
    assert change is not None
    assert (change.tier, change.previous, change.reason) == ("silver", "gold", "return")
    assert change.at == change.since == RETURNED_AT
    assert change.valid_until == local("2027-05-03")
    assert tier_at(rules, [*history, change], local("2026-05-02T14:59")) == "gold"


def test_a_return_falls_to_what_qualifies() -> None:
    rules, _, standing = gold(on_return="immediate")
    change = returned(rules, standing, 2_000_000)
    assert change is not None
    assert (change.tier, change.valid_until, change.verdict_at) == ("ordinary", None, None)


def test_a_return_that_leaves_enough_changes_nothing() -> None:
    rules, _, standing = gold(on_return="immediate")
    assert returned(rules, standing, 1, bought("2026-02-01", 1)) is None
    assert returned(rules, standing, 1, bought("2026-04-01", 1)) is None  # the window that ends now suffices


def test_a_return_waits_for_the_review_by_default() -> None:
    rules, _, standing = gold()
    assert returned(rules, standing, 2_000_000) is None


def test_goods_outside_the_window_take_no_ground_away() -> None:
    rules, _, standing = gold(on_return="immediate")
    goods = [bought("2025-01-10", -700_000)]
    rows = [REACHED, bought("2025-01-10", 700_000), *goods]
    assert on_return(rules, CALENDAR, standing, rows, goods, RETURNED_AT) is None


def test_a_tier_that_was_given_or_kept_by_a_step_has_no_ground_to_lose() -> None:
    rules = program(on_return="immediate")
    gift = standing_after(rules, None, given(rules, CALENDAR, "gold", local("2026-03-01")))
    assert returned(rules, gift, 2_000_000) is None
    _, _, standing = gold(on_return="immediate")
    stepped = standing_after(rules, standing, verdict(rules, CALENDAR, standing, []))
    assert stepped.tier == "silver"
    assert returned(rules, stepped, 1) is None


def test_a_renewed_tier_stands_on_the_window_that_renewed_it() -> None:
    rules, _, standing = gold(on_return="immediate")
    again = bought("2026-10-01", 2_000_000)
    renewed = standing_after(rules, standing, verdict(rules, CALENDAR, standing, [REACHED, again]))
    first, second = (Qualifying(at=row.at, amount=-row.amount) for row in (REACHED, again))
    at = local("2027-12-01")
    assert on_return(rules, CALENDAR, renewed, [REACHED, first, again], [first], at) is None
    change = on_return(rules, CALENDAR, renewed, [REACHED, again, second], [second], at)
    assert change is not None
    assert (change.tier, change.at) == ("ordinary", at)


def test_after_a_return_an_older_purchase_promotes_from_the_return_on() -> None:
    rules, history, standing = gold(on_return="immediate")
    change = returned(rules, standing, 1)
    assert change is not None
    lowered = standing_after(rules, standing, change)
    late = bought("2026-03-01", 1)
    rows = [REACHED, Qualifying(at=REACHED.at, amount=-1), late]
    (again,) = promotions(rules, CALENDAR, lowered, rows, late.at, [*history, change])
    assert (again.tier, again.since) == ("gold", RETURNED_AT)


def test_a_merge_keeps_the_higher_tier_and_of_equals_the_longer() -> None:
    rules, _, standing = gold()
    at = local("2026-07-01")
    low = Standing(tier="ordinary", since=ENROLLED.at)
    for into, other in ((low, standing), (standing, low)):
        change = merged(rules, into, other, at)
        after = standing_after(rules, into, change)
        assert (after.tier, after.since, after.valid_until) == ("gold", REACHED.at, standing.valid_until)
        assert (change.previous, after.judged_at) == (into.tier, at)
    longer = Standing(tier="gold", since=at, valid_until=local("2027-07-02"), verdict_at=local("2027-07-02"))
    assert merged(rules, standing, longer, at).valid_until == longer.valid_until
    assert merged(rules, longer, standing, at).since == longer.since
    equal = Standing(tier="gold", since=at, valid_until=standing.valid_until, verdict_at=standing.verdict_at)
    assert merged(rules, standing, equal, at).since == standing.since
    endless = Standing(tier="gold", since=at)
    assert merged(rules, standing, endless, at).valid_until is None
