"""A member's tier, from DESIGN.md section 4 and docs/decisions/tiers-and-time.md, by asking every window anew."""

from datetime import date, datetime

from msgspec import Struct
from msgspec.structs import replace

from loyalty.calendar import END_OF_TIME, Calendar, calendar_of, just_before, shift_days, shift_months
from loyalty.program.model import Program, Qualify, WindowCalendarYear


class Row(Struct, frozen=True):
    """What one purchase counts for; a return is a negative row at the time of its purchase."""

    at: datetime
    amount: int


class Change(Struct, frozen=True):
    at: datetime
    tier: str
    reason: str
    since: datetime
    valid_until: datetime | None = None
    verdict_at: datetime | None = None
    ground_at: datetime | None = None


class Standing(Struct, frozen=True):
    tier: str
    since: datetime
    valid_until: datetime | None = None
    verdict_at: datetime | None = None
    ground_at: datetime | None = None
    judged_at: datetime | None = None


class Metric(Struct, frozen=True):
    spend: int
    visits: int
    start: datetime


def rank(program: Program, tier: str) -> int:
    return [one.id for one in program.tiers].index(tier)


def window_start(program: Program, at: datetime) -> datetime:
    calendar, window = calendar_of(program.time_zone), program.tier_policy.window
    day = calendar.day(at)
    if isinstance(window, WindowCalendarYear):
        return calendar.day_start(date(day.year, 1, 1))
    return calendar.day_start(shift_days(shift_months(day, -window.months), 1))


def metric(program: Program, rows: list[Row], at: datetime) -> Metric:
    """What the window that ends at `at`, inclusive, holds. A visit is a local day with something above zero."""
    calendar, start = calendar_of(program.time_zone), window_start(program, at)
    inside = [row for row in rows if start <= row.at <= at]
    days: dict[date, int] = {}
    for row in inside:
        day = calendar.day(row.at)
        days[day] = days.get(day, 0) + row.amount
    spend = sum([row.amount for row in inside])
    return Metric(spend, sum([amount > 0 for amount in days.values()]), start)


def meets(qualify: Qualify | None, found: Metric) -> bool:
    if qualify is None:
        return False
    asked = []
    if qualify.spend_amount is not None:
        asked.append(found.spend >= qualify.spend_amount)
    if qualify.visits is not None:
        asked.append(found.visits >= qualify.visits)
    return bool(asked) and (all(asked) if qualify.need == "all" else any(asked))


def qualified(program: Program, rows: list[Row], at: datetime) -> int:
    """The highest tier for which the window that ends at `at` is enough."""
    found = metric(program, rows, at)
    return max((n for n, tier in enumerate(program.tiers) if n and meets(tier.qualify, found)), default=0)


def tier_at(program: Program, changes: list[Change], at: datetime) -> str:
    """In the order of recording: a promotion never lowers, everything else decides from its instant on."""
    tier = program.tiers[0].id
    for change in changes:
        if change.at <= at and (
            change.reason != "promotion" or rank(program, change.tier) > rank(program, tier)
        ):
            tier = change.tier
    return tier


def validity(program: Program, day: date) -> tuple[datetime | None, datetime | None]:
    """The exclusive end of a validity that counts from a local day, and when its verdict is due."""
    calendar, policy = calendar_of(program.time_zone), program.tier_policy
    last = shift_months(day, policy.validity_months)
    if isinstance(policy.window, WindowCalendarYear):
        last = date(last.year, 12, 31)
    end = calendar.day_start(shift_days(last, 1))
    if end >= END_OF_TIME:
        return None, None
    return end, verdict_time(calendar, end, policy.grace_days)


def verdict_time(calendar: Calendar, end: datetime, grace_days: int) -> datetime:
    return calendar.day_start(shift_days(calendar.day(end), grace_days))


def change_to(program: Program, n: int, at: datetime, reason: str, day: date, ground_at: datetime) -> Change:
    tier = program.tiers[n].id
    end, verdict_at = validity(program, day) if n else (None, None)
    return Change(at, tier, reason, at, end, verdict_at, ground_at)


def after(program: Program, standing: Standing, change: Change) -> Standing:
    """The standing that a change leaves."""
    if change.reason == "promotion" and rank(program, change.tier) < rank(program, standing.tier):
        return standing
    return Standing(
        tier=change.tier,
        since=change.since,
        valid_until=change.valid_until,
        verdict_at=change.verdict_at,
        ground_at=change.ground_at,
        judged_at=standing.judged_at if change.reason == "promotion" else change.at,
    )


def promotions(
    program: Program, standing: Standing, changes: list[Change], rows: list[Row], added_at: datetime
) -> list[Change]:
    """What a purchase at `added_at`, already in `rows`, brings: at each row from then on whose window holds it.

    What was decided stays: nothing starts before the last decision, and what would have changed the window of that
    decision counts from it on.
    """
    first = max(added_at, standing.judged_at or added_at)
    top = len(program.tiers) - 1
    found: list[Change] = []
    for at in sorted({first, *(row.at for row in rows if row.at > first)}):
        if at > first and window_start(program, at) > added_at:
            continue
        held = rank(program, tier_at(program, [*changes, *found], at))
        if held == top:
            continue
        n = qualified(program, rows, at)
        if (
            at == first
            and first > added_at
            and standing.ground_at is not None
            and added_at <= standing.ground_at
        ):
            n = max(n, qualified(program, rows, standing.ground_at))
        if n > held:
            day = calendar_of(program.time_zone).day(at)
            found.append(change_to(program, n, at, "promotion", day, at))
    return found


def verdict(program: Program, standing: Standing, rows: list[Row]) -> Change:
    """What becomes of a tier whose validity has elapsed."""
    assert standing.valid_until is not None
    assert standing.verdict_at is not None
    calendar, end = calendar_of(program.time_zone), just_before(standing.valid_until)
    last, at = calendar.day(end), standing.verdict_at
    n, earned = rank(program, standing.tier), qualified(program, rows, end)
    if earned >= n or program.tier_policy.downgrade == "never":
        return replace(change_to(program, n, at, "renewal", last, end), since=standing.since)
    to = n - 1 if program.tier_policy.downgrade == "one_step" else earned
    return change_to(program, to, at, "review", last, end)


def on_return(
    program: Program, standing: Standing, rows: list[Row], goods: Row, occurred_at: datetime
) -> Change | None:
    """The fall at once, if the window that justified the tier no longer does without these goods."""
    n, ground_at = rank(program, standing.tier), standing.ground_at
    if program.tier_policy.on_return != "immediate" or ground_at is None or n == 0:
        return None
    at = max(occurred_at, standing.since, standing.judged_at or occurred_at)
    if qualified(program, [*rows, Row(goods.at, -goods.amount)], ground_at) < n:
        return None
    to = max(qualified(program, rows, ground_at), qualified(program, rows, at))
    if to >= n:
        return None
    return change_to(program, to, at, "return", calendar_of(program.time_zone).day(at), ground_at)
