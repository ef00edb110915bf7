"""The keys of `[[rules]]` and `[[discounts]]`, and of what they share: which lines, when, how much."""

import re
from typing import get_args

from loyalty.program.key_types import (
    Choice,
    Day,
    Flag,
    Key,
    Kind,
    MonthDay,
    Name,
    Number,
    Some,
    TableOf,
    Text,
    WallTime,
    Whole,
)
from loyalty.program.model import BirthdayMatch
from loyalty.program.model import Kind as RuleKind
from loyalty.types import MAX_AMOUNT

MOST_POINTS = 1_000_000_000

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
ID_SHAPE = "an id: 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def names(says: str) -> Some:
    return Some(says=says, item=Name(says=says))


SELECTOR: dict[str, Key] = {
    "sku": names("Lines of one of these SKUs; case counts."),
    "category": names("Lines of one of these categories."),
    "tag": names("Lines that carry one of these tags."),
    "not_sku": names("Not lines of these SKUs."),
    "not_category": names("Not lines of these categories."),
    "not_tag": names("Not lines that carry one of these tags."),
    "min_quantity": Number(says="Lines of at least this many units.", low=0, high=1_000_000_000, above=True),
}

WHEN = TableOf(
    says="Conditions on the whole basket, or on an event; all that are given must hold.",
    keys={
        "channel": names("Sales channels, such as pos or online."),
        "store": names("Stores."),
        "tier": names("Tiers that the member is in before the purchase."),
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
        "id": Text(says="Its name in every explanation.", pattern=IDENTIFIER, shape=ID_SHAPE, required=True),
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
            item=Text(says="A type of events.", pattern=IDENTIFIER, shape=ID_SHAPE),
        ),
        "when": WHEN,
        "where": TableOf(says="Which lines; all that is given must hold.", keys=SELECTOR),
        "from": Day(says="The first local day on which it counts."),
        "until": Day(says="The first local day on which it is over."),
        "group": Text(
            says="Of one group only the rule worth most counts.", pattern=IDENTIFIER, shape=ID_SHAPE
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
        "id": Text(says="Its name in every quote.", pattern=IDENTIFIER, shape=ID_SHAPE, required=True),
        "percent": Number(says="10 takes a tenth off.", low=0, high=100, above=True, required=True),
        "when": WHEN,
        "where": RULE.keys["where"],
        "from": RULE.keys["from"],
        "until": RULE.keys["until"],
    },
)
