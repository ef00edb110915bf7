"""Reads `[[rules]]`, the five kinds with their `when`, `where` and `limit`; and `[[discounts]]`."""

from datetime import time
from decimal import Decimal
from fractions import Fraction

from loyalty.program.diagnostics import quote
from loyalty.program.model import Discount, Kind, Limit, Rule, When
from loyalty.program.reader import Table
from loyalty.program.rule_keys import LIMIT
from loyalty.program.sections import read_selector


def read_rules(tables: list[Table]) -> tuple[Rule, ...]:
    """All rules in the order of the file, each with an id of its own."""
    seen: set[str] = set()
    return tuple(_rule(table, number, seen) for number, table in enumerate(tables))


def read_discounts(tables: list[Table]) -> tuple[Discount, ...]:
    """All discounts in the order of the file, each with an id of its own."""
    seen: set[str] = set()
    return tuple(_discount(table, number, seen) for number, table in enumerate(tables))


def _discount(table: Table, number: int, seen: set[str]) -> Discount:
    if not table.has("percent"):
        table.missing("percent", "percent = 10")
    percent = table.raw("percent") if table.number("percent") is not None else None
    discount = Discount(
        id=_id(table, number, seen, "discount"),
        percent=percent if isinstance(percent, int | Decimal) else 1,
        when=_when(table.table("when")),
        where=read_selector(table.table("where")),
        from_on=table.day("from"),
        until_on=table.day("until"),
    )
    _in_order(table, discount)
    return discount


def _id(table: Table, number: int, seen: set[str], what: str) -> str:
    if not table.has("id"):
        table.missing("id", 'id = "member-day", a name of its own')
    found = table.text("id") or f"#{number}"
    if found in seen:
        table.error("id", f"{quote(found)} is the id of an earlier {what}: give each its own")
    seen.add(found)
    return found


def _in_order(table: Table, dated: Rule | Discount) -> None:
    if dated.from_on and dated.until_on and dated.from_on >= dated.until_on:
        table.error(
            "until",
            f"{quote(dated.until_on)} is not after from = {quote(dated.from_on)}: until is the first day "
            "on which it is over",
        )


def _rule(table: Table, number: int, seen: set[str]) -> Rule:
    rule_id = _id(table, number, seen, "rule")
    kind = _kind(table)
    rule = Rule(
        id=rule_id,
        kind=kind or "flat",
        points=table.number("points"),
        per_amount=table.whole("per_amount"),
        whole_steps=table.flag("whole_steps") or False,
        factor=_factor(table),
        types=table.names("type"),
        when=_when(table.table("when")),
        where=read_selector(table.table("where")),
        from_on=table.day("from"),
        until_on=table.day("until"),
        group=table.text("group"),
        limit=_limit(table),
    )
    _in_order(table, rule)
    return rule


def _kind(table: Table) -> Kind | None:
    if not table.has("kind"):
        table.missing("kind", 'kind = "spend", "units", "flat", "multiplier" or "event"')
        return None
    found: Kind | None = table.choice("kind")
    if found is None:
        return None
    kinds = table.shape.kinds
    for key, example in kinds[found].needs.items():
        if not table.has(key):
            table.error(key, f'{key} is missing: a rule of kind "{found}" needs it, add {example}')
    for key in table.shape.keys:
        owners = [kind for kind in kinds if key in kinds[kind].own]
        if not table.has(key) or not owners or found in owners:
            continue
        if key == "points":
            table.error(key, "a multiplier gives no points of its own: write factor = 2, or kind = 'flat'")
        elif key == "where":
            table.error(key, "an event has no lines to choose from: take it out")
        else:
            table.error(key, f'{key} belongs to kind = "{owners[0]}" only: take it out')
    for name, keys in kinds[found].without.items():
        inner = table.raw(name)
        for key in keys:
            if isinstance(inner, dict) and key in inner:
                table.report.error(
                    (*table.path, name, key),
                    f"{key} is about a purchase, and an event is none: take it out",
                )
    return found


def _factor(table: Table) -> Fraction | None:
    written = table.raw("factor")
    if isinstance(written, int | Decimal) and not isinstance(written, bool) and 0 < written < 1:
        # With gains alone, every rule adds: nothing can turn negative and no return can grant.
        table.error(
            "factor",
            f"{quote(written)} is below 1 and would take points away: to give less on "
            "some goods, give them a spend rule of their own, and not_category or not_sku in the other",
        )
        return None
    return table.number("factor")


def _limit(table: Table) -> Limit | None:
    limit = table.table("limit")
    if limit is None:
        return None
    if not limit.has_some():
        table.error("limit", "limit is empty: add one of " + ", ".join(LIMIT.keys) + ", or take it out")
    return Limit(**{key: limit.whole(key) for key in LIMIT.keys})


def _when(table: Table | None) -> When | None:
    if table is None:
        return None
    begin, end = _hours(table)
    return When(
        channel=table.texts("channel"),
        store=table.texts("store"),
        tier=table.texts("tier"),
        weekday=table.words("weekday"),
        day_of_month=table.wholes("day_of_month"),
        month_day=table.month_days("month_day"),
        time_from=begin,
        time_until=end,
        birthday=table.choice("birthday"),
        first_purchase=table.flag("first_purchase"),
        min_amount=table.whole("min_amount"),
        min_lines=table.whole("min_lines"),
    )


def _hours(table: Table) -> tuple[time | None, time | None]:
    hours = table.table("time")
    if hours is None:
        return None, None
    if not hours.has_some():
        table.error("time", 'time is empty: write time = { from = "18:00", until = "21:00" }')
    begin, end = hours.wall_time("from"), hours.wall_time("until")
    if begin is not None and begin == end:
        hours.error("until", f"{quote(end)} is also from: leave time out for the whole day")
    return begin, end
