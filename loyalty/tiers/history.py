"""What a member's recorded changes mean: the tier of a past instant, and the standing they lead to. Pure.

Changes are read in the order in which they were recorded, which is not always the order of their instants: a
purchase that arrives late promotes from a day in the past. A promotion raises the tier from its instant on
and never lowers it; every other change decides the tier from its instant on, whatever was recorded before.
Source: DESIGN.md section 4, Tiers; section 3, promise 11.
"""

from collections.abc import Iterable
from datetime import datetime

from loyalty.program.model import Program
from loyalty.tiers.model import Change, Held, Reason, Standing
from loyalty.tiers.window import rank

Step = tuple[datetime, int, Reason]
"""From when which tier (its rank) is held, and why."""


def tier_at(program: Program, history: Iterable[Change], at: datetime) -> str:
    """The tier in force at `at`, as the changes recorded so far have it; the lowest before the first of them.

    For what was known at an earlier time, pass only the changes recorded until then.
    """
    held = 0
    for change in history:
        if change.at <= at:
            found = rank(program, change.tier)
            held = max(held, found) if change.reason == "promotion" else found
    return program.tiers[held].id


def timeline(program: Program, history: Iterable[Change]) -> list[Held]:
    """The tiers held, oldest first, without gap or overlap: what `tier_at` answers, with the reasons.

    A renewal begins a row of its own; what a later recorded change overrode is not shown.
    """
    steps: list[Step] = []
    for change in history:
        found = rank(program, change.tier)
        kept = [step for step in steps if step[0] < change.at]
        if change.reason == "promotion":
            _raise(kept, [step for step in steps if step[0] >= change.at], change.at, found)
        else:
            kept.append((change.at, found, change.reason))
        steps = kept
    ends = [*(step[0] for step in steps[1:]), None][: len(steps)]
    return [
        Held(tier=program.tiers[held].id, from_=at, until=end, reason=reason)
        for (at, held, reason), end in zip(steps, ends, strict=True)
    ]


def standing_after(program: Program, standing: Standing | None, change: Change) -> Standing:
    """The standing that a change, recorded last, leaves.

    A late promotion to a tier below the one held now matters to the past only and leaves the standing.
    """
    judged_at = standing.judged_at if standing is not None else None
    if change.reason == "promotion":
        if standing is not None and rank(program, change.tier) < rank(program, standing.tier):
            return standing
    elif change.reason != "enrolment":
        judged_at = change.at
    return Standing(
        tier=change.tier,
        since=change.since,
        valid_until=change.valid_until,
        verdict_at=change.verdict_at,
        ground_at=change.ground_at,
        judged_at=judged_at,
    )


def standing_of(program: Program, history: Iterable[Change]) -> Standing | None:
    """The standing rebuilt from all changes in the order of recording; None without any."""
    standing: Standing | None = None
    for change in history:
        standing = standing_after(program, standing, change)
    return standing


def _raise(kept: list[Step], after: list[Step], at: datetime, found: int) -> None:
    """Add to the steps before `at` those from `at` on, none below the tier that a promotion brings."""
    if (kept[-1][1] if kept else -1) < found and not (after and after[0][0] == at):
        kept.append((at, found, "promotion"))
    for step in after:
        before = kept[-1][1] if kept else -1
        risen = step[0] == at and step[1] < found  # at the very instant of a fall
        if step[1] > found:
            kept.append(step)
        elif before != found or risen:  # else the promotion covers it
            kept.append((step[0], found, "promotion" if before < found or risen else step[2]))
