"""Every key that a program file may hold: what it says, its type, its range, and what leaving it out means.

The parser reads by these tables and the JSON Schema is made from them, so neither can know a key that the
other does not. Source: DESIGN.md section 9.
"""

import re
from typing import get_args

from loyalty.calendar import Unit
from loyalty.program.key_types import (
    Choice,
    Key,
    Kind,
    MonthDay,
    Number,
    TableOf,
    TablesOf,
    Text,
    Whole,
    Zone,
)
from loyalty.program.model import (
    Downgrade,
    Multipliers,
    Need,
    OnReturn,
    Rounding,
    Shortfall,
    UnlinkedReturns,
)
from loyalty.program.rule_keys import DISCOUNT, ID_SHAPE, IDENTIFIER, MOST_POINTS, RULE, SELECTOR, names
from loyalty.types import MAX_AMOUNT

_MOST_DAYS = 3_660
_MOST_MONTHS = 1_200

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
            shape=ID_SHAPE,
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
                "privileges": names("Names that tills and shops act on, such as free_delivery."),
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
