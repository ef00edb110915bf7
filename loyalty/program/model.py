"""The program as values: what its file says, with every default filled in and every number exact.

`loyalty.program.parse` makes these from TOML or JSON; rules, tiers and ledger only read them.
"""

from datetime import date, time
from decimal import Decimal
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from loyalty.calendar import Unit

Kind = Literal["spend", "units", "flat", "multiplier", "event"]
BirthdayMatch = Literal["day", "week", "month"]
Rounding = Literal["floor", "half_up", "half_even"]
Shortfall = Literal["debt", "forgive"]
UnlinkedReturns = Literal["base", "refuse"]
Multipliers = Literal["add", "compound", "best"]
Need = Literal["any", "all"]
Downgrade = Literal["one_step", "to_qualified", "never"]
OnReturn = Literal["review", "immediate"]


class Period(Struct, frozen=True):
    """A length of calendar time: exactly one of the three is above zero."""

    days: int = 0
    months: int = 0
    years: int = 0


class ExpireNever(Struct, frozen=True):
    """Points live for ever."""


class ExpireAfter(Struct, frozen=True):
    """Points live for `period` from their start, then to the end of the local `round_to` unit."""

    period: Period
    round_to: Unit | None = None


class ExpireFixed(Struct, frozen=True):
    """Points die at the end of a local day each year, after at least `min_days` of life."""

    month: int
    day: int
    min_days: int = 0


class ExpireInactivity(Struct, frozen=True):
    """All of an account's points live for `period` from its last activity."""

    period: Period


Expiry = ExpireNever | ExpireAfter | ExpireFixed | ExpireInactivity


class Selector(Struct, frozen=True):
    """Which lines (`where`). None: not asked. `not_` fields exclude. Empty selectors match every line."""

    sku: frozenset[str] | None = None
    not_sku: frozenset[str] | None = None
    category: frozenset[str] | None = None
    not_category: frozenset[str] | None = None
    tag: frozenset[str] | None = None
    not_tag: frozenset[str] | None = None
    min_quantity: Fraction | None = None


class When(Struct, frozen=True):
    """Conditions on the whole basket, or on an event (`when`); all that are not None must hold."""

    channel: frozenset[str] | None = None
    store: frozenset[str] | None = None
    tier: frozenset[str] | None = None
    weekday: frozenset[int] | None = None
    """0 is Monday."""
    day_of_month: frozenset[int] | None = None
    month_day: frozenset[tuple[int, int]] | None = None
    time_from: time | None = None
    time_until: time | None = None
    """Local wall time, exclusive; earlier than `time_from` means past midnight."""
    birthday: BirthdayMatch | None = None
    first_purchase: bool | None = None
    min_amount: int | None = None
    """Of the earning base."""
    min_lines: int | None = None


class Limit(Struct, frozen=True):
    """How often and how much a rule gives. None: without limit."""

    per_purchase_points: int | None = None
    per_member: int | None = None
    per_member_day: int | None = None
    per_member_points: int | None = None
    budget_points: int | None = None


class Rule(Struct, frozen=True):
    """One rule of the program, in the order of the file.

    spend: `points` for every `per_amount` of the base (`whole_steps`: full steps over its lines together);
    units: `points` a unit; flat: `points` once; multiplier: `factor` on the spend points of its lines;
    event: `points` for an event of one of `types`, and nothing for a purchase.
    `from_on` (inclusive) and `until_on` (exclusive) are local days.
    """

    id: str
    kind: Kind
    points: Fraction | None = None
    per_amount: int | None = None
    whole_steps: bool = False
    factor: Fraction | None = None
    types: frozenset[str] | None = None
    when: When | None = None
    where: Selector | None = None
    from_on: date | None = None
    until_on: date | None = None
    group: str | None = None
    limit: Limit | None = None


class Discount(Struct, frozen=True):
    """Percent off the price of its lines, for members: advice to tills and shops, not points.

    `percent` is above 0 and at most 100, shown to clients as written. Days are as a rule's.
    """

    id: str
    percent: int | Decimal
    when: When | None = None
    where: Selector | None = None
    from_on: date | None = None
    until_on: date | None = None


class PointsPolicy(Struct, frozen=True):
    rounding: Rounding = "floor"
    pending_days: int = 0
    expiry: Expiry = ExpireNever()
    late_grace_days: int = 0
    restore_grace_days: int = 0
    shortfall: Shortfall = "debt"
    unlinked_returns: UnlinkedReturns = "base"
    multipliers: Multipliers = "add"
    exclude: Selector | None = None


class RedemptionPolicy(Struct, frozen=True):
    """`points` points are worth `amount`; redeemed in whole steps, at least `min_points`, at most a share."""

    points: int
    amount: int
    min_points: int = 1
    step_points: int = 1
    max_basket_share: Fraction = Fraction(1)


class Qualify(Struct, frozen=True):
    """What a tier asks for in its window. None: not asked."""

    spend_amount: int | None = None
    visits: int | None = None
    need: Need = "any"


class Benefits(Struct, frozen=True, omit_defaults=True):
    discount_percent: int | Decimal | None = None
    """0 to 100, shown to clients as written; a fraction stays the exact decimal of the file."""
    privileges: tuple[str, ...] = ()


class Tier(Struct, frozen=True):
    """One tier; the lowest has no `qualify`."""

    id: str
    qualify: Qualify | None = None
    benefits: Benefits = Benefits()


class WindowRolling(Struct, frozen=True):
    months: int = 12


class WindowCalendarYear(Struct, frozen=True):
    pass


class TierPolicy(Struct, frozen=True):
    window: WindowRolling | WindowCalendarYear = WindowRolling()
    validity_months: int = 12
    downgrade: Downgrade = "one_step"
    grace_days: int = 0
    on_return: OnReturn = "review"


class Program(Struct, frozen=True):
    """One version of the rule set. `tiers` are lowest first and never empty."""

    name: str
    currency: str
    time_zone: ZoneInfo
    points: PointsPolicy = PointsPolicy()
    redemption: RedemptionPolicy | None = None
    tiers: tuple[Tier, ...] = (Tier(id="ordinary"),)
    tier_policy: TierPolicy = TierPolicy()
    rules: tuple[Rule, ...] = ()
    discounts: tuple[Discount, ...] = ()
