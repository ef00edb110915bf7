"""The tier engine against a naive re-computation, over random lives of members."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from loyalty.calendar import calendar_of
from loyalty.program.model import Program, Qualify, Tier, TierPolicy, WindowCalendarYear, WindowRolling
from loyalty.tiers.assess import enrolment, promotions, rows_from, verdict
from loyalty.tiers.history import standing_after, standing_of, tier_at, timeline
from loyalty.tiers.model import Change, Qualifying, Standing
from loyalty.tiers.window import Sweep, metric, next_thresholds, qualified, rank, window_start

ZONE = ZoneInfo("Europe/London")
CALENDAR = calendar_of(ZONE)
START = datetime(2024, 6, 1, tzinfo=UTC)

windows = st.one_of(st.just(WindowCalendarYear()), st.integers(1, 14).map(lambda n: WindowRolling(months=n)))
qualifies = st.builds(
    Qualify,
    spend_amount=st.none() | st.integers(1, 60),
    visits=st.none() | st.integers(1, 8),
    need=st.sampled_from(["any", "all"]),
)
policies = st.builds(
    TierPolicy,
    window=windows,
    validity_months=st.integers(1, 14),
    downgrade=st.sampled_from(["one_step", "to_qualified", "never"]),
    grace_days=st.integers(0, 40),
)
programs = st.builds(
    lambda found, policy: Program(
        name="Test",
        currency="GBP",
        time_zone=ZONE,
        tiers=(Tier("t0"), *(Tier(f"t{n}", qualify) for n, qualify in enumerate(found, 1))),
        tier_policy=policy,
    ),
    st.lists(qualifies, min_size=1, max_size=3),
    policies,
)
moments = st.integers(0, 900 * 48).map(lambda half_hours: START + timedelta(minutes=30 * half_hours))
rows = st.builds(Qualifying, at=moments, amount=st.integers(0, 20))
nets = st.builds(Qualifying, at=moments, amount=st.integers(-10, 20))


def endless(program: Program) -> Program:
    """The same program with tiers that no verdict ends."""
    policy = TierPolicy(window=program.tier_policy.window, validity_months=10**6)
    return Program(name="Test", currency="GBP", time_zone=ZONE, tiers=program.tiers, tier_policy=policy)


def replay(program: Program, arrivals: list[Qualifying]) -> list[Change]:
    """The history when purchases arrive in this order and no verdict is due between them."""
    history = [enrolment(program, START)]
    known: list[Qualifying] = []
    for row in arrivals:
        known.append(row)
        standing = standing_of(program, history)
        assert standing is not None
        needed = rows_from(program, CALENDAR, standing, row.at)
        seen = [one for one in known if one.at >= needed]
        history += promotions(program, CALENDAR, standing, seen, row.at, history)
    return history


@given(windows, st.lists(nets, max_size=30), st.lists(moments, max_size=12))
def test_a_sweep_finds_what_each_window_holds(
    window: WindowRolling | WindowCalendarYear, found: list[Qualifying], ends: list[datetime]
) -> None:
    sweep = Sweep(window, CALENDAR, found)
    for end in sorted(ends):
        start = window_start(window, CALENDAR, end)
        inside = [row for row in found if start <= row.at <= end]
        days = {CALENDAR.day(row.at) for row in inside}
        visits = [d for d in days if sum(row.amount for row in inside if CALENDAR.day(row.at) == d) > 0]
        naive = (sum(row.amount for row in inside), len(visits), start)
        for metrics in (sweep.at(end), metric(window, CALENDAR, found, end)):
            assert (metrics.spend_amount, metrics.visits, metrics.from_) == naive


@given(programs, st.lists(rows, max_size=14), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(
    program: Program, found: list[Qualifying], random: Random
) -> None:
    program = endless(program)
    in_order = replay(program, sorted(found, key=lambda row: row.at))
    shuffled = list(found)
    random.shuffle(shuffled)
    late = replay(program, shuffled)
    assert standing_of(program, late) == standing_of(program, in_order)
    window = program.tier_policy.window
    best = 0
    for row in sorted(
        found, key=lambda one: one.at
    ):  # promotions by hand: the best that any window held so far
        best = max(best, qualified(program, metric(window, CALENDAR, found, row.at)))
        assert rank(program, tier_at(program, late, row.at)) == best
    top = standing_of(program, late)
    assert top is not None
    if best:
        assert top.since == min(
            row.at for row in found if qualified(program, metric(window, CALENDAR, found, row.at)) == best
        )


@given(programs, st.lists(rows, max_size=14))
def test_below_the_bounds_nothing_is_promoted(program: Program, found: list[Qualifying]) -> None:
    program = endless(program)
    known: list[Qualifying] = []
    standing = Standing(tier="t0", since=START)
    spend_bar, visits_bar = next_thresholds(program, "t0")
    for row in found:
        known.append(row)
        if promotions(program, CALENDAR, standing, known, row.at):
            spend, visits = sum(one.amount for one in known), len(known)
            assert (spend_bar is not None and spend >= spend_bar) or (
                visits_bar is not None and visits >= visits_bar
            )


@given(programs, st.lists(rows, max_size=20))
def test_verdicts_posted_before_each_purchase_or_all_at_once_agree(
    program: Program, found: list[Qualifying]
) -> None:
    found = sorted(found, key=lambda row: row.at)
    end = START + timedelta(days=1500)

    def judge(history: list[Change], known: list[Qualifying], now: datetime) -> Standing:
        standing = standing_of(program, history)
        assert standing is not None
        while standing.verdict_at is not None and standing.verdict_at <= now:
            change = verdict(program, CALENDAR, standing, known)
            assert change.previous == standing.tier
            assert rank(program, change.tier) <= rank(program, standing.tier)
            after = standing_after(program, standing, change)
            if after.valid_until is not None:
                assert standing.valid_until is not None
                assert after.valid_until > standing.valid_until
            history.append(change)
            standing = after
        return standing

    history = [enrolment(program, START)]
    for index, row in enumerate(found):
        standing = judge(history, found[:index], row.at)
        history += promotions(program, CALENDAR, standing, found[: index + 1], row.at, history)
    last = judge(history, found, end)
    assert last == standing_of(program, history)
    # A verdict reads a window that has ended, so rows of later purchases must not change it.
    again = [enrolment(program, START)]
    for change in history[1:]:
        standing_then = standing_of(program, again)
        assert standing_then is not None
        if change.reason in ("renewal", "review"):
            assert verdict(program, CALENDAR, standing_then, found) == change
        again.append(change)
    assert [held.from_ for held in timeline(program, history)] == sorted({c.at for c in history})


changes = st.builds(
    lambda at, tier, reason: Change(at=at, tier=tier, previous=None, reason=reason, since=at),
    moments,
    st.sampled_from(["t0", "t1", "t2"]),
    st.sampled_from(["promotion", "promotion", "review", "enrolment", "merge"]),
)


@given(st.lists(changes, max_size=10), st.lists(moments, max_size=20))
def test_the_timeline_says_what_each_instant_says(history: list[Change], ats: list[datetime]) -> None:
    program = Program(name="Test", currency="GBP", time_zone=ZONE, tiers=(Tier("t0"), Tier("t1"), Tier("t2")))
    found = timeline(program, history)
    for one, two in pairwise(found):
        assert one.until == two.from_ > one.from_
    for at in [*ats, *(change.at for change in history)]:
        held = [one.tier for one in found if one.from_ <= at and (one.until is None or at < one.until)]
        assert (held or ["t0"]) == [tier_at(program, history, at)]
