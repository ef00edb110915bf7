"""What is told of a member's tier: where it stands, what comes next, what is needed."""

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from loyalty.program.model import Benefits


class QualifyingAnswer(Struct, frozen=True):
    """What the window that ends now holds."""

    spend_amount: int
    visits: int
    from_: datetime = field(name="from")


class NextTier(Struct, frozen=True):
    """What the next tier still needs; null is not asked for. `need`: any of it or all of it."""

    tier: str
    spend_amount: int | None
    visits: int | None
    need: Literal["any", "all"]


class WindowAnswer(Struct, frozen=True):
    """What a verdict's window holds so far: from its first instant up to, and without, its end."""

    spend_amount: int
    visits: int
    from_: datetime = field(name="from")
    until: datetime


class ProjectedTier(Struct, frozen=True):
    """What the next verdict, due `at`, would give if nothing more were bought.

    `reason`: a renewal, or a review that lowers. `valid_until` of the tier then, null in the lowest. `needed`: what is
    missing in the `window` to keep the tier, null where it is kept.
    """

    tier: str
    at: datetime
    reason: Literal["renewal", "review"]
    valid_until: datetime | None
    window: WindowAnswer
    needed: NextTier | None


class TierWarning(Struct, frozen=True):
    """A member whose next verdict would lower the tier."""

    member_id: str
    tier: str
    since: datetime
    projected: ProjectedTier


class TierWarnings(Struct, frozen=True):
    """Members whose verdict is due up to `through` and would lower their tier, soonest first. `next_cursor` is null on
    the last page."""

    as_of: datetime
    through: datetime
    warnings: list[TierWarning]
    next_cursor: str | None


class TierPeriod(Struct, frozen=True):
    tier: str
    from_: datetime = field(name="from")
    until: datetime | None = None
    reason: str = ""


class TierStanding(Struct, frozen=True):
    """Where a member stands. `next` is null at the top, `valid_until` and `projected` in the lowest tier."""

    tier: str
    since: datetime
    valid_until: datetime | None
    qualifying: QualifyingAnswer
    next: NextTier | None
    projected: ProjectedTier | None
    benefits: Benefits
    history: list[TierPeriod]
