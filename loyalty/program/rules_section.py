"""Reads `[[rules]]`: the four kinds with their `when`, `where` and `limit`."""

from datetime import time
from fractions import Fraction
from typing import get_args

from loyalty.program.diagnostics import quote
from loyalty.program.model import BirthdayMatch, Kind, Limit, Rule, When
from loyalty.program.reader import Table
from loyalty.program.sections import IDENTIFIER, IDENTIFIER_SHAPE, SELECTOR_KEYS, read_selector
from loyalty.types import MAX_AMOUNT

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RULE_KEYS = (
    "id",
    "kind",
    "points",
    "per_amount",
    "whole_steps",
    "factor",
    "when",
    "where",
    "from",
    "until",
    "group",
    "limit",
)
WHEN_KEYS = (
    "channel",
    "store",
    "tier",
    "weekday",
    "day_of_month",
    "month_day",
    "time",
    "birthday",
    "first_purchase",
    "min_amount",
    "min_lines",
)
LIMIT_KEYS = ("per_purchase_points", "per_member", "per_member_day", "per_member_points", "budget_points")

MOST_POINTS = 1_000_000_000
MOST_FACTOR = 1_000
_NEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "spend": (("points", "points = 1"), ("per_amount", "per_amount = 100 (points for every 1.00)")),
    "units": (("points", "points = 50 (for each unit)"),),
    "flat": (("points", "points = 100"),),
    "multiplier": (("factor", "factor = 2"),),
}
_OWN_KEYS = {"per_amount": ("spend",), "whole_steps": ("spend",), "factor": ("multiplier",)}


def read_rules(tables: list[Table]) -> tuple[Rule, ...]:
    """All rules in the order of the file, each with an id of its own."""
    seen: set[str] = set()
    return tuple(_rule(table, number, seen) for number, table in enumerate(tables))


def _rule(table: Table, number: int, seen: set[str]) -> Rule:
    if not table.has("id"):
        table.missing("id", 'id = "member-day", a name of its own')
    rule_id = table.text("id", IDENTIFIER, IDENTIFIER_SHAPE) or f"#{number}"
    if rule_id in seen:
        table.error("id", f"{quote(rule_id)} is the id of an earlier rule: give each its own")
    seen.add(rule_id)
    kind = _kind(table)
    rule = Rule(
        id=rule_id,
        kind=kind or "flat",
        points=table.number("points", 0, MOST_POINTS, above=True),
        per_amount=table.whole("per_amount", 1, MAX_AMOUNT),
        whole_steps=table.flag("whole_steps") or False,
        factor=_factor(table),
        when=_when(table.table("when", WHEN_KEYS)),
        where=read_selector(table.table("where", SELECTOR_KEYS)),
        from_on=table.day("from"),
        until_on=table.day("until"),
        group=table.text("group", IDENTIFIER, IDENTIFIER_SHAPE),
        limit=_limit(table),
    )
    if rule.from_on and rule.until_on and rule.from_on >= rule.until_on:
        table.error(
            "until",
            f"{quote(rule.until_on)} is not after from = {quote(rule.from_on)}: until is the first day "
            "on which the rule is over",
        )
    return rule


def _kind(table: Table) -> Kind | None:
    if not table.has("kind"):
        table.missing("kind", 'kind = "spend", "units", "flat" or "multiplier"')
        return None
    for kind in get_args(Kind):
        if table.raw("kind") == kind:
            for key, example in _NEEDS[kind]:
                if not table.has(key):
                    table.error(key, f'{key} is missing: a rule of kind "{kind}" needs it, add {example}')
            if kind == "multiplier" and table.has("points"):
                table.error(
                    "points", "a multiplier gives no points of its own: write factor = 2, or kind = 'flat'"
                )
            for key, kinds in _OWN_KEYS.items():
                if table.has(key) and kind not in kinds:
                    table.error(key, f'{key} belongs to kind = "{kinds[0]}" only: take it out')
            found: Kind = kind
            return found
    table.choice("kind", get_args(Kind), "flat")
    return None


def _factor(table: Table) -> Fraction | None:
    factor = table.number("factor", 0, MOST_FACTOR, above=True)
    if factor is not None and factor < 1:
        # With gains alone, every rule adds: nothing can turn negative and no return can grant.
        table.error(
            "factor",
            f"{quote(table.raw('factor'))} is below 1 and would take points away: to give less on "
            "some goods, give them a spend rule of their own, and not_category or not_sku in the other",
        )
    return factor


def _limit(table: Table) -> Limit | None:
    limit = table.table("limit", LIMIT_KEYS)
    if limit is None:
        return None
    if not any(limit.has(key) for key in LIMIT_KEYS):
        table.error("limit", "limit is empty: add one of " + ", ".join(LIMIT_KEYS) + ", or take it out")
    return Limit(**{key: limit.whole(key, 1, MAX_AMOUNT) for key in LIMIT_KEYS})


def _when(table: Table | None) -> When | None:
    if table is None:
        return None
    begin, end = _hours(table)
    birthday: BirthdayMatch | None = None
    if table.has("birthday"):
        birthday = table.choice("birthday", get_args(BirthdayMatch), "day")
    return When(
        channel=table.texts("channel"),
        store=table.texts("store"),
        tier=table.texts("tier"),
        weekday=table.words("weekday", WEEKDAYS),
        day_of_month=table.wholes("day_of_month", 1, 31),
        month_day=table.month_days("month_day"),
        time_from=begin,
        time_until=end,
        birthday=birthday,
        first_purchase=table.flag("first_purchase"),
        min_amount=table.whole("min_amount", 1, MAX_AMOUNT),
        min_lines=table.whole("min_lines", 1, 1_000_000),
    )


def _hours(table: Table) -> tuple[time | None, time | None]:
    hours = table.table("time", ("from", "until"))
    if hours is None:
        return None, None
    if not hours.has("from") and not hours.has("until"):
        table.error("time", 'time is empty: write time = { from = "18:00", until = "21:00" }')
    begin, end = hours.wall_time("from"), hours.wall_time("until")
    if begin is not None and begin == end:
        hours.error("until", f"{quote(end)} is also from: leave time out for the whole day")
    return begin, end
