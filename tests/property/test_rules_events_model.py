"""Events against the naive model: every rule is asked about every event."""

from datetime import UTC, datetime
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loyalty.program.model import Limit, PointsPolicy, Program, Rule, When
from loyalty.rules.award import explain, rounding_text
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts, Used
from tests.property.rules_drawn import caps, policies, program_of, some
from tests.simulation import model_events, model_rules

TYPES = ("survey", "review")

rules = st.lists(
    st.builds(
        Rule,
        id=st.just(""),
        kind=st.sampled_from(("event", "event", "event", "flat", "spend")),
        points=st.fractions(Fraction(1, 10), 50, max_denominator=10),
        per_amount=st.just(100),
        types=st.frozensets(st.sampled_from(TYPES), min_size=1),
        when=st.none()
        | st.builds(
            When,
            channel=some(("app", "online")),
            tier=some(("ordinary", "gold")),
            weekday=st.none() | st.frozensets(st.integers(0, 6), min_size=1),
            birthday=st.none() | st.sampled_from(("day", "week", "month")),
        ),
        group=st.none() | st.sampled_from(("g", "h")),
        limit=st.none()
        | st.builds(
            Limit,
            per_member=st.none() | st.integers(1, 2),
            per_member_day=st.none() | st.integers(1, 2),
            per_member_points=caps,
            budget_points=caps,
        ),
    ),
    max_size=7,
).map(lambda found: tuple(msgspec.structs.replace(rule, id=f"r{at}") for at, rule in enumerate(found)))
useds = st.dictionaries(
    st.sampled_from([f"r{at}" for at in range(7)]),
    st.builds(
        Used, times=st.integers(0, 2), times_day=st.integers(0, 2), points=st.integers(0, 300)
    ),
)  # fmt: skip


@given(
    rules,
    policies,
    st.sampled_from((*TYPES, "visit")),
    st.sampled_from(("", "app", "online")),
    st.frozensets(st.sampled_from(("day", "week", "month"))),
    useds,
)
def test_the_judge_is_the_model(
    rules: tuple[Rule, ...],
    points: PointsPolicy,
    type: str,
    channel: str,
    birthday: frozenset[str],
    used: dict[str, Used],
) -> None:
    program: Program = program_of(rules, points)
    at = datetime(2026, 11, 8, 4, tzinfo=UTC)
    award = compile_program(program).judge_event(
        type, Facts(at, channel, "ordinary", birthday=birthday, used=used)
    )
    theirs = {
        rule: model_rules.Used(times=one.times, times_day=one.times_day, points=one.points)
        for rule, one in used.items()
    }
    wanted = model_events.judge_event(
        program,
        type,
        model_rules.Facts(at, channel, None, "ordinary", False, birthday, Fraction(1), theirs),
    )
    assert award.points == wanted.points
    assert {row.rule: row.points for row in explain(award) if row.points != "0"} == {
        rule: model_rules.exact_text(parts[None]) for rule, parts in wanted.shares.items()
    }
    assert rounding_text(award) == model_rules.exact_text(wanted.total - wanted.points)
    assert {rule: points for rule, (_, points) in award.charges.items()} == wanted.charges
    assert award.metric_amount == 0
