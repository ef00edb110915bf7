"""Every key that a program file may hold: what it says, its type, its range, and what leaving it out means.

The parser reads by these tables and the JSON Schema is made from them, so neither can know a key that the
other does not. Source: DESIGN.md section 9.
"""

import re
from collections.abc import Mapping
from typing import Any, get_args

from msgspec import Struct

from loyalty.program.model import (
    BirthdayMatch,
    Downgrade,
    Multipliers,
    Need,
    OnReturn,
    Rounding,
    Shortfall,
    Unit,
    UnlinkedReturns,
)
from loyalty.program.model import Kind as RuleKind
from loyalty.types import MAX_AMOUNT

MOST_DECIMALS = 9
"""Digits after the point of a number with a fraction."""
MOST_POINTS = 1_000_000_000
_MOST_DAYS = 3_660
_MOST_MONTHS = 1_200


class Key(Struct, frozen=True, kw_only=True):
    """One key. `says` is for people; `default` is what leaving it out means, None where there is no such value."""

    says: str
    default: Any = None
    required: bool = False


class Text(Key, frozen=True, kw_only=True):
    """A string. `shape` says in words what `pattern` asks for."""

    pattern: re.Pattern[str]
    shape: str


class Zone(Key, frozen=True, kw_only=True):
    """The name of an IANA time zone."""


class Choice(Key, frozen=True, kw_only=True):
    """One of a few words."""

    options: tuple[str, ...]


class Flag(Key, frozen=True, kw_only=True):
    """True or false."""


class Whole(Key, frozen=True, kw_only=True):
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int


class Number(Key, frozen=True, kw_only=True):
    """An exact number from `low` (with `above`: not `low` itself) to `high`."""

    low: int
    high: int
    above: bool = False


class Day(Key, frozen=True, kw_only=True):
    """A local day."""


class WallTime(Key, frozen=True, kw_only=True):
    """A local time of day."""


class MonthDay(Key, frozen=True, kw_only=True):
    """A day of every year, "12-31"."""


class Some(Key, frozen=True, kw_only=True):
    """One or several of `item`: one alone needs no brackets."""

    item: Key


class Name(Key, frozen=True, kw_only=True):
    """A string of 1 to 128 characters, such as a SKU."""


class Kind(Struct, frozen=True):
    """What belongs to one `kind` of a table.

    needs: keys that must be there, each with an example. may: keys that are its own but may be left out.
    one_of: exactly one of these. without: by the key of a table inside it, keys that mean nothing there.
    """

    needs: Mapping[str, str] = {}
    may: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    without: Mapping[str, tuple[str, ...]] = {}

    @property
    def own(self) -> frozenset[str]:
        return frozenset((*self.needs, *self.may, *self.one_of))


class TableOf(Key, frozen=True, kw_only=True):
    """A table with these keys and no others.

    some_of: at least one of these must be there. kinds: what belongs to which value of `kind`.
    """

    keys: Mapping[str, Key]
    some_of: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = {}


class TablesOf(Key, frozen=True, kw_only=True):
    """A list of tables, each begun with `[[…]]`."""

    each: TableOf


IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_ID_SHAPE = "an id: 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _names(says: str) -> Some:
    return Some(says=says, item=Name(says=says))


SELECTOR: dict[str, Key] = {
    "sku": _names("Lines of one of these SKUs; case counts."),
    "category": _names("Lines of one of these categories."),
    "tag": _names("Lines that carry one of these tags."),
    "not_sku": _names("Not lines of these SKUs."),
    "not_category": _names("Not lines of these categories."),
    "not_tag": _names("Not lines that carry one of these tags."),
    "min_quantity": Number(says="Lines of at least this many units.", low=0, high=1_000_000_000, above=True),
}

PERIOD: dict[str, Key] = {
    "days": Whole(says="Length in local days.", low=1, high=36_500),
    "months": Whole(
        says="Length in months; 31 January plus one month is 28 (29) February.", low=1, high=1_200
    ),
    "years": Whole(says="Length in years.", low=1, high=100),
}

EXPIRY = TableOf(
    says="How long points live. Left out: they never expire.",
    keys={
        "kind": Choice(
            says=(
                "never; after: a period from when they were earned; fixed: at the end of one day each year; "
                "inactivity: all of an account's points, a period after its last earn, redemption or hold."
            ),
            options=("never", "after", "fixed", "inactivity"),
            required=True,
        ),
        **PERIOD,
        "round_to": Choice(
            says="Then they live on to the end of that local day, month, quarter or year.",
            options=get_args(Unit),
        ),
        "month_day": MonthDay(says="The last local day on which points of the year can be spent."),
        "min_days": Whole(
            says="Points younger than that many days live a year longer.", low=0, high=_MOST_DAYS, default=0
        ),
    },
    kinds={
        "never": Kind(),
        "after": Kind(one_of=tuple(PERIOD), may=("round_to",)),
        "fixed": Kind(needs={"month_day": 'month_day = "12-31"'}, may=("min_days",)),
        "inactivity": Kind(one_of=tuple(PERIOD)),
    },
)

POINTS = TableOf(
    says="How points are counted and how long they live.",
    keys={
        "rounding": Choice(
            says="How a purchase's exact total becomes whole points, once.",
            options=get_args(Rounding),
            default="floor",
        ),
        "pending_days": Whole(
            says="Local days until earned points may be spent; their life starts then.",
            low=0,
            high=_MOST_DAYS,
            default=0,
        ),
        "expiry": EXPIRY,
        "late_grace_days": Whole(
            says="Life of points whose own is over when a late purchase arrives.",
            low=0,
            high=_MOST_DAYS,
            default=0,
        ),
        "restore_grace_days": Whole(
            says="Life of points that are given back after their own is over; 0: they expire at once.",
            low=0,
            high=_MOST_DAYS,
            default=0,
        ),
        "shortfall": Choice(
            says="What a return cannot take back, because it is spent: a debt, or forgiven.",
            options=get_args(Shortfall),
            default="debt",
        ),
        "unlinked_returns": Choice(
            says="A return without a known purchase: judged by the base rules of its day, or refused.",
            options=get_args(UnlinkedReturns),
            default="base",
        ),
        "multipliers": Choice(
            says="Several multipliers on a line: x2 and x1.5 give x2.5 (add), x3 (compound) or x2 (best).",
            options=get_args(Multipliers),
            default="add",
        ),
        "exclude": TableOf(
            says="Lines that earn nothing at all and count for no tier: vouchers, postage, fees.",
            keys=SELECTOR,
            some_of=tuple(SELECTOR),
        ),
    },
)

REDEMPTION = TableOf(
    says="What points are worth. Without it nothing can be redeemed.",
    keys={
        "points": Whole(says="So many points …", low=1, high=MOST_POINTS, required=True),
        "amount": Whole(
            says="… are worth this amount, in minor units: 100 is 1.00.",
            low=1,
            high=MOST_POINTS,
            required=True,
        ),
        "min_points": Whole(says="The least that may be redeemed.", low=1, high=MAX_AMOUNT, default=1),
        "step_points": Whole(
            says="Points are redeemed in whole steps of this many.", low=1, high=MAX_AMOUNT, default=1
        ),
        "max_basket_share": Number(
            says="The largest part of a basket that points may pay: 0.5 is half.",
            low=0,
            high=1,
            above=True,
            default=1,
        ),
    },
)

TIER = TableOf(
    says="One tier; the lowest comes first, has no qualify, and is everybody's to begin with.",
    keys={
        "id": Text(
            says="Its name in rules, receipts and reports; it stays for ever.",
            pattern=IDENTIFIER,
            shape=_ID_SHAPE,
            required=True,
        ),
        "qualify": TableOf(
            says="What it asks for within the window of tier_policy.",
            keys={
                "spend_amount": Whole(
                    says="Spend in minor units: 500000 is 5,000.00.", low=1, high=MAX_AMOUNT
                ),
                "visits": Whole(says="Local days with a purchase.", low=1, high=100_000),
                "need": Choice(
                    says="Whether any of the two is enough, or all are needed.",
                    options=get_args(Need),
                    default="any",
                ),
            },
            some_of=("spend_amount", "visits"),
        ),
        "benefits": TableOf(
            says="What members of the tier get besides points; shown to tills and shops.",
            keys={
                "discount_percent": Number(says="Discount on every purchase, in percent.", low=0, high=100),
                "privileges": _names("Names that tills and shops act on, such as free_delivery."),
            },
        ),
    },
)

TIER_POLICY = TableOf(
    says="How members rise and fall.",
    keys={
        "window": TableOf(
            says="Over what time spend and visits count. Left out: 12 months.",
            keys={
                "kind": Choice(
                    says="rolling: the months before; calendar_year: from 1 January.",
                    options=("rolling", "calendar_year"),
                    required=True,
                ),
                "months": Whole(says="Length of a rolling window.", low=1, high=_MOST_MONTHS, default=12),
            },
            kinds={"rolling": Kind(may=("months",)), "calendar_year": Kind()},
        ),
        "validity_months": Whole(
            says="How long a tier is held before it is judged again.", low=1, high=_MOST_MONTHS, default=12
        ),
        "downgrade": Choice(
            says="Who no longer qualifies falls one step, to what he qualifies for, or never.",
            options=get_args(Downgrade),
            default="one_step",
        ),
        "grace_days": Whole(says="Days by which the verdict comes later.", low=0, high=_MOST_DAYS, default=0),
        "on_return": Choice(
            says="When goods come back that a tier was built on: judged at its next verdict, or at once.",
            options=get_args(OnReturn),
            default="review",
        ),
    },
)

WHEN = TableOf(
    says="Conditions on the whole basket, or on an event; all that are given must hold.",
    keys={
        "channel": _names("Sales channels, such as pos or online."),
        "store": _names("Stores."),
        "tier": _names("Tiers that the member is in before the purchase."),
        "weekday": Some(says="Days of the week.", item=Choice(says="A day of the week.", options=WEEKDAYS)),
        "day_of_month": Some(
            says="Days of the month.", item=Whole(says="A day of the month.", low=1, high=31)
        ),
        "month_day": Some(
            says='Days of the year, such as "11-11".', item=MonthDay(says="A day of the year.")
        ),
        "time": TableOf(
            says="Local time of day; from 22:00 until 02:00 goes past midnight.",
            keys={
                "from": WallTime(says="From this time on."),
                "until": WallTime(says="The first moment after."),
            },
            some_of=("from", "until"),
        ),
        "birthday": Choice(
            says="On the member's birthday, in its week (Monday to Sunday) or in its month.",
            options=get_args(BirthdayMatch),
        ),
        "first_purchase": Flag(says="Whether it is the member's first purchase."),
        "min_amount": Whole(
            says="The least amount that earns points, in minor units.", low=1, high=MAX_AMOUNT
        ),
        "min_lines": Whole(says="The least number of lines that earn points.", low=1, high=1_000_000),
    },
)

LIMIT = TableOf(
    says="How often and how much the rule gives.",
    keys={
        "per_purchase_points": Whole(says="Points for one purchase.", low=1, high=MAX_AMOUNT),
        "per_member": Whole(says="Times for one member, ever.", low=1, high=MAX_AMOUNT),
        "per_member_day": Whole(says="Times for one member on one local day.", low=1, high=MAX_AMOUNT),
        "per_member_points": Whole(says="Points for one member, ever.", low=1, high=MAX_AMOUNT),
        "budget_points": Whole(says="Points for everybody together.", low=1, high=MAX_AMOUNT),
    },
    some_of=(
        "per_purchase_points",
        "per_member",
        "per_member_day",
        "per_member_points",
        "budget_points",
    ),
)

RULE = TableOf(
    says="What earns points. Rules add up, unless they share a group.",
    keys={
        "id": Text(says="Its name in every explanation.", pattern=IDENTIFIER, shape=_ID_SHAPE, required=True),
        "kind": Choice(
            says=(
                "spend: points for every per_amount; units: points a unit; flat: points once; "
                "multiplier: times the spend points of its lines; event: points for what is no purchase, "
                "such as a survey."
            ),
            options=get_args(RuleKind),
            required=True,
        ),
        "points": Number(says="Points, also with a fraction.", low=0, high=MOST_POINTS, above=True),
        "per_amount": Whole(
            says="In minor units: 100 gives the points for every 1.00.", low=1, high=MAX_AMOUNT
        ),
        "whole_steps": Flag(
            says="Only full steps of per_amount count, over all its lines together.", default=False
        ),
        "factor": Number(says="2 doubles; at least 1.", low=1, high=1_000),
        "type": Some(
            says="Types of events, as those who send them call them, such as survey.",
            item=Text(says="A type of events.", pattern=IDENTIFIER, shape=_ID_SHAPE),
        ),
        "when": WHEN,
        "where": TableOf(says="Which lines; all that is given must hold.", keys=SELECTOR),
        "from": Day(says="The first local day on which it counts."),
        "until": Day(says="The first local day on which it is over."),
        "group": Text(
            says="Of one group only the rule worth most counts.", pattern=IDENTIFIER, shape=_ID_SHAPE
        ),
        "limit": LIMIT,
    },
    kinds={
        "spend": Kind(
            needs={"points": "points = 1", "per_amount": "per_amount = 100 (points for every 1.00)"},
            may=("whole_steps", "where"),
        ),
        "units": Kind(needs={"points": "points = 50 (for each unit)"}, may=("where",)),
        "flat": Kind(needs={"points": "points = 100"}, may=("where",)),
        "multiplier": Kind(needs={"factor": "factor = 2"}, may=("where",)),
        "event": Kind(
            needs={"points": "points = 20", "type": 'type = "survey"'},
            without={
                "when": ("store", "first_purchase", "min_amount", "min_lines"),
                "limit": ("per_purchase_points",),
            },
        ),
    },
)

DISCOUNT = TableOf(
    says="Percent off the price for members, told with a quote. Of several on a line the highest counts.",
    keys={
        "id": Text(says="Its name in every quote.", pattern=IDENTIFIER, shape=_ID_SHAPE, required=True),
        "percent": Number(says="10 takes a tenth off.", low=0, high=100, above=True, required=True),
        "when": WHEN,
        "where": RULE.keys["where"],
        "from": RULE.keys["from"],
        "until": RULE.keys["until"],
    },
)

PROGRAM = TableOf(
    says="A loyalty program: what earns points, how long they live, what they are worth, which tiers there are.",
    keys={
        "name": Text(
            says="What the program is called.",
            pattern=re.compile(r"[^\x00-\x1f\x7f]{1,128}\Z"),
            shape="a name of 1 to 128 characters",
            required=True,
        ),
        "currency": Text(
            says="ISO 4217 code of all amounts; it stays for ever.",
            pattern=re.compile(r"[A-Z]{3}\Z"),
            shape='an ISO 4217 code of three capitals such as "CNY"',
            required=True,
        ),
        "time_zone": Zone(says="The IANA time zone that local days are of.", required=True),
        "points": POINTS,
        "redemption": REDEMPTION,
        "tiers": TablesOf(says="The tiers, lowest first. Left out: one, called ordinary.", each=TIER),
        "tier_policy": TIER_POLICY,
        "rules": TablesOf(
            says="The rules, in the order in which limits trim and ties are decided.", each=RULE
        ),
        "discounts": TablesOf(says="What members pay less, besides what their tier gives.", each=DISCOUNT),
    },
)
