"""The decisions on a member's tier: enrolment, promotion, verdict, return, merge. Pure.

Each takes the standing and the facts and answers with the changes to record; `history.standing_after`
applies them. The caller posts every verdict that is due (`verdict` while `verdict_at <= now`) before it
records anything else. Source: DESIGN.md section 4, Tiers; docs/decisions/tiers-and-time.md says what was
left open.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from loyalty.calendar import END_OF_TIME, Calendar, just_before, shift_days, shift_months
from loyalty.program.model import Program, WindowCalendarYear
from loyalty.tiers.history import tier_at
from loyalty.tiers.model import Change, Metric, Qualifying, Reason, Standing
from loyalty.tiers.window import Sweep, metric, qualified, rank, window_start


def enrolment(program: Program, at: datetime) -> Change:
    """The first row of a history: the lowest tier from the enrolment on."""
    return Change(at=at, tier=program.tiers[0].id, previous=None, reason="enrolment", since=at)


def given(
    program: Program,
    calendar: Calendar,
    tier: str,
    at: datetime,
    *,
    previous: str | None = None,
    reason: Reason = "import",
    valid_until: datetime | None = None,
) -> Change:
    """A tier that is given from `at` on, not earned: an import, or a decision of the program's owner.

    valid_until: exclusive, if it is known; else it counts from `at` as a promotion's does.
    """
    if rank(program, tier) == 0:
        return Change(at=at, tier=tier, previous=previous, reason=reason, since=at)
    until, verdict_at = _validity(program, calendar, calendar.day(at))
    if valid_until is not None:
        until, verdict_at = valid_until, _verdict_at(program, calendar, valid_until)
    return Change(
        at=at, tier=tier, previous=previous, reason=reason, since=at, valid_until=until, verdict_at=verdict_at
    )


def rows_from(program: Program, calendar: Calendar, standing: Standing, added_at: datetime) -> datetime:
    """The earliest instant from which `promotions` needs the member's rows, for a purchase at `added_at`."""
    ends = [added_at]
    if standing.judged_at is not None and added_at < standing.judged_at:
        ends.append(standing.ground_at or standing.judged_at)
    return window_start(program.tier_policy.window, calendar, min(ends))


def promotions(
    program: Program,
    calendar: Calendar,
    standing: Standing,
    rows: Sequence[Qualifying],
    added_at: datetime,
    history: Sequence[Change] = (),
    found_then: Metric | None = None,
) -> list[Change]:
    """The promotions that a purchase at `added_at`, already in `rows`, brings; mostly none, earliest first.

    rows: all from `rows_from` on, in any order, with those later than `added_at`.
    history: the member's changes in the order of recording; needed when `added_at < standing.since`.
    found_then: what the window that ends at `added_at` holds, where that was worked out already.

    A tier is reached at the occurred_at of a row at which the window meets it, several steps at once
    included. A late purchase is looked at from its own time on, against the tier held then; so without
    verdicts between them the order in which purchases arrive changes nothing. What a verdict (or return,
    merge, import) decided
    stays: after it, a late purchase that would have changed its window promotes from the decision on.
    """
    window = program.tier_policy.window
    top = len(program.tiers) - 1
    current = rank(program, standing.tier)
    if current == top and added_at >= standing.since:
        return []
    start = added_at
    decided: Metric | None = None
    if standing.judged_at is not None and added_at < standing.judged_at:
        start = standing.judged_at
        if standing.ground_at is not None and added_at <= standing.ground_at:
            decided = metric(window, calendar, rows, standing.ground_at)
    changes: list[Change] = []
    raised = 0
    sweep: Sweep | None = None
    for at in sorted({start, *(row.at for row in rows if row.at > start)}):
        held = current if at >= standing.since else rank(program, tier_at(program, history, at))
        held = max(held, raised)
        if held == top:
            break
        if at == added_at and found_then is not None:
            found = found_then
        else:
            sweep = sweep or Sweep(window, calendar, rows)
            found = sweep.at(at)
        if at > start and found.from_ > added_at:
            break  # from here on no window holds the purchase: what they hold was looked at before
        reached = qualified(program, found)
        if decided is not None:
            reached, decided = max(reached, qualified(program, decided)), None
        if reached > held:
            raised = reached
            changes.append(_promotion(program, calendar, held, reached, at))
    return changes


def verdict(program: Program, calendar: Calendar, standing: Standing, rows: Iterable[Qualifying]) -> Change:
    """The verdict on the elapsed validity, by the window that ends at `valid_until`. For each in turn.

    rows: all that lie in that window, in any order. Raises ValueError for a standing without an end.
    """
    if standing.valid_until is None:
        raise ValueError(f"a standing in {standing.tier!r} without valid_until has no verdict")
    end = just_before(standing.valid_until)
    return verdict_by(program, calendar, standing, metric(program.tier_policy.window, calendar, rows, end))


def verdict_by(program: Program, calendar: Calendar, standing: Standing, found: Metric) -> Change:
    """As `verdict`, from the metric of the window that ends with `just_before(valid_until)`.

    The tier is renewed if the window is enough for it or a higher one, or if the program never lowers; else
    it falls one step or to what the window is enough for. The change counts from `verdict_at`, the new
    validity from the last local day of the elapsed one, grace or not.
    """
    if standing.valid_until is None or standing.verdict_at is None:
        raise ValueError(f"a standing in {standing.tier!r} without valid_until has no verdict")
    end = just_before(standing.valid_until)
    held = rank(program, standing.tier)
    earned = qualified(program, found)
    downgrade = program.tier_policy.downgrade
    if earned >= held or downgrade == "never":
        new = held
    else:
        new = held - 1 if downgrade == "one_step" else earned
    renewed = new == held
    valid_until: datetime | None = None
    verdict_at: datetime | None = None
    if new > 0:
        valid_until, verdict_at = _validity(program, calendar, calendar.day(end))
    return Change(
        at=standing.verdict_at,
        tier=program.tiers[new].id,
        previous=standing.tier,
        reason="renewal" if renewed else "review",
        since=standing.since if renewed else standing.verdict_at,
        valid_until=valid_until,
        verdict_at=verdict_at,
        ground_at=end,
    )


def on_return(
    program: Program,
    calendar: Calendar,
    standing: Standing,
    rows: Sequence[Qualifying],
    goods: Sequence[Qualifying],
    at: datetime,
) -> Change | None:
    """The fall that a return at `at` brings at once, or None (also if the program leaves it to the review).

    rows: all from the start of the window that ends at `standing.ground_at`, with the rows of this return.
    goods: the rows of this return alone, negative, at the occurred_at of the purchase.

    The tier falls only if the window that decided on it met it with the goods and does not without them, and
    if the window that ends at the return does not meet it either. It falls to the higher of what the two
    meet, from `at`, and that tier gets a validity of its own.
    """
    held = rank(program, standing.tier)
    if program.tier_policy.on_return != "immediate" or held == 0 or standing.ground_at is None:
        return None
    window = program.tier_policy.window
    kept = [*rows, *(Qualifying(at=row.at, amount=-row.amount) for row in goods)]
    if qualified(program, metric(window, calendar, kept, standing.ground_at)) < held:
        return None
    # A return older than the tier cannot lower what was in force before it.
    at = max(at, standing.since, standing.judged_at or at)
    new = max(qualified(program, metric(window, calendar, rows, end)) for end in (standing.ground_at, at))
    if new >= held:
        return None
    valid_until: datetime | None = None
    verdict_at: datetime | None = None
    if new > 0:
        valid_until, verdict_at = _validity(program, calendar, calendar.day(at))
    return Change(
        at=at,
        tier=program.tiers[new].id,
        previous=standing.tier,
        reason="return",
        since=at,
        valid_until=valid_until,
        verdict_at=verdict_at,
        ground_at=standing.ground_at,
    )


def merged(program: Program, into: Standing, other: Standing, at: datetime) -> Change:
    """The change that a merge at `at` brings to the account that stays: the higher of both tiers.

    Of equal tiers the one that is valid longer stays; without any end is longest; on a tie `into`.
    """

    def worth(standing: Standing) -> tuple[int, datetime]:
        return rank(program, standing.tier), standing.valid_until or END_OF_TIME

    stays = other if worth(other) > worth(into) else into
    return Change(
        at=at,
        tier=stays.tier,
        previous=into.tier,
        reason="merge",
        since=stays.since,
        valid_until=stays.valid_until,
        verdict_at=stays.verdict_at,
        ground_at=stays.ground_at,
    )


def _promotion(program: Program, calendar: Calendar, held: int, reached: int, at: datetime) -> Change:
    valid_until, verdict_at = _validity(program, calendar, calendar.day(at))
    return Change(
        at=at,
        tier=program.tiers[reached].id,
        previous=program.tiers[held].id,
        reason="promotion",
        since=at,
        valid_until=valid_until,
        verdict_at=verdict_at,
        ground_at=at,
    )


def _validity(program: Program, calendar: Calendar, day: date) -> tuple[datetime | None, datetime | None]:
    """The exclusive end of a validity that counts from a local day, and when its verdict is due."""
    policy = program.tier_policy
    last = shift_months(day, policy.validity_months)
    if isinstance(policy.window, WindowCalendarYear):
        last = date(last.year, 12, 31)
    valid_until = calendar.day_start(shift_days(last, 1))
    if valid_until >= END_OF_TIME:
        return None, None
    return valid_until, _verdict_at(program, calendar, valid_until)


def _verdict_at(program: Program, calendar: Calendar, valid_until: datetime) -> datetime:
    """Grace is in local days, to the first instant of a day; it moves neither valid_until nor the window."""
    return calendar.day_start(shift_days(calendar.day(valid_until), program.tier_policy.grace_days))
