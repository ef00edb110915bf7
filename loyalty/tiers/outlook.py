"""What the next verdict on a tier would give if nothing more were bought, and what would keep the tier. Pure."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from loyalty.calendar import Calendar, just_before
from loyalty.program.model import Program
from loyalty.tiers.assess import verdict_by
from loyalty.tiers.model import Change, Metric, Needed, Qualifying, Standing
from loyalty.tiers.window import metric, missing, rank


class Outlook(Struct, frozen=True):
    """The verdict that is to come, by what is known.

    change: what it would be. found: what its window holds so far; the window ends just before `until`.
    needed: what is missing to keep the tier; None where it is kept.
    """

    change: Change
    found: Metric
    until: datetime
    needed: Needed | None


def outlook(
    program: Program, calendar: Calendar, standing: Standing, rows: Iterable[Qualifying]
) -> Outlook | None:
    """The next verdict on a standing; None where none will be due.

    program: the version that will be in force at `standing.verdict_at`. rows: all of the window that it looks at.
    """
    if standing.valid_until is None or standing.verdict_at is None:
        return None
    found = metric(program.tier_policy.window, calendar, rows, just_before(standing.valid_until))
    change = verdict_by(program, calendar, standing, found)
    held = program.tiers[rank(program, standing.tier)]
    needed = None
    if change.reason == "review" and held.qualify is not None:
        needed = missing(held.id, held.qualify, found)
    return Outlook(change, found, standing.valid_until, needed)
