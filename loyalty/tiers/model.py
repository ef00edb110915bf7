"""The values of the tier engine: what counts, where a member stands, and what changes it.

All instants are aware and in UTC, amounts in the currency's minor unit. Source: DESIGN.md section 4, Tiers.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

Reason = Literal["enrolment", "import", "promotion", "renewal", "review", "return", "merge", "program"]
"""Why a standing changed. review: a verdict that lowered it; return: goods came back, its ground with
them."""


class Qualifying(Struct, frozen=True):
    """What one purchase counts for: its earning base, floored once, at its occurred_at.

    A return is a row of its own with a negative amount at the occurred_at of the purchase, so that it lowers
    the period in which the goods were bought.
    """

    at: datetime
    amount: int


class Metric(Struct, frozen=True):
    """What a window holds. `visits` are local days with a base above zero; the window starts with `from_`."""

    spend_amount: int
    visits: int
    from_: datetime


class Standing(Struct, frozen=True):
    """Where a member stands. For the lowest tier all but `tier`, `since` and `judged_at` are None.

    since: when the tier was reached (a renewal leaves it).
    valid_until: exclusive; the first instant of a local day.
    verdict_at: when the verdict on the elapsed validity is due; the tier is held until then.
    ground_at: the last instant of the window that decided on the tier (a promotion's own instant, else the
    end of the elapsed validity). None: the tier was given, not earned, and no return takes it away.
    judged_at: the last decision that is not a promotion (verdict, return, merge, import, program). No
    promotion starts before it.
    """

    tier: str
    since: datetime
    valid_until: datetime | None = None
    verdict_at: datetime | None = None
    ground_at: datetime | None = None
    judged_at: datetime | None = None


class Change(Struct, frozen=True):
    """One immutable row of a member's tier history, with everything that the new standing needs.

    at: from when the change counts (a late promotion's lies in the past, a verdict's is when it was due).
    previous: the tier in force just before `at`, None for the first row. The rest as in `Standing`.
    """

    at: datetime
    tier: str
    previous: str | None
    reason: Reason
    since: datetime
    valid_until: datetime | None = None
    verdict_at: datetime | None = None
    ground_at: datetime | None = None


class Held(Struct, frozen=True):
    """A time in one tier: `from_` inclusive, `until` exclusive, None for the one that lasts."""

    tier: str
    from_: datetime
    until: datetime | None
    reason: Reason


class Needed(Struct, frozen=True):
    """What is still missing for `tier`; None: not asked for. `need`: whether any or all of it must be met."""

    tier: str
    spend_amount: int | None
    visits: int | None
    need: Literal["any", "all"]


class Progress(Struct, frozen=True):
    """The window that ends now, and what the next tier that can be reached still needs (None at the top)."""

    spend_amount: int
    visits: int
    from_: datetime
    next: Needed | None
