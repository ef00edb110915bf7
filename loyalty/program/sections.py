"""Reads every part of a program but its rules: points, redemption, tiers and their policy."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import get_args

from loyalty.program.diagnostics import quote
from loyalty.program.model import (
    Benefits,
    Downgrade,
    ExpireAfter,
    ExpireFixed,
    ExpireInactivity,
    ExpireNever,
    Expiry,
    Multipliers,
    Need,
    OnReturn,
    Period,
    PointsPolicy,
    Qualify,
    RedemptionPolicy,
    Rounding,
    Selector,
    Shortfall,
    Tier,
    TierPolicy,
    Unit,
    UnlinkedReturns,
    WindowCalendarYear,
    WindowRolling,
)
from loyalty.program.reader import Table
from loyalty.types import MAX_AMOUNT

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
IDENTIFIER_SHAPE = "an id: 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
SELECTOR_KEYS = ("sku", "category", "tag", "not_sku", "not_category", "not_tag", "min_quantity")

_LONGEST_LIFE = {"days": 36_500, "months": 1_200, "years": 100}
_MOST_DAYS = 3_660
_EXPIRY_KEYS = {
    "never": (),
    "after": ("days", "months", "years", "round_to"),
    "fixed": ("month_day", "min_days"),
    "inactivity": ("days", "months", "years"),
}


def read_points(table: Table | None) -> PointsPolicy:
    """`[points]`; what is left out takes the default of DESIGN.md section 9."""
    if table is None:
        return PointsPolicy()
    exclude = table.table("exclude", SELECTOR_KEYS)
    if exclude is not None and not any(exclude.has(key) for key in SELECTOR_KEYS):
        table.error("exclude", "exclude is empty, which selects every line: nothing would ever earn")
    return PointsPolicy(
        rounding=table.choice("rounding", get_args(Rounding), "floor"),
        pending_days=table.whole("pending_days", 0, _MOST_DAYS) or 0,
        expiry=_expiry(table),
        late_grace_days=table.whole("late_grace_days", 0, _MOST_DAYS) or 0,
        restore_grace_days=table.whole("restore_grace_days", 0, _MOST_DAYS) or 0,
        shortfall=table.choice("shortfall", get_args(Shortfall), "debt"),
        unlinked_returns=table.choice("unlinked_returns", get_args(UnlinkedReturns), "base"),
        multipliers=table.choice("multipliers", get_args(Multipliers), "add"),
        exclude=read_selector(exclude),
    )


def _expiry(points: Table) -> Expiry:
    table = points.table("expiry", ("kind", "days", "months", "years", "round_to", "month_day", "min_days"))
    if table is None:
        return ExpireNever()
    if not table.has("kind"):
        table.missing("kind", 'kind = "never", "after", "fixed" or "inactivity"')
        return ExpireNever()
    kind = table.choice("kind", tuple(_EXPIRY_KEYS), "")
    if not kind:
        return ExpireNever()
    _refuse_foreign_keys(table, kind, _EXPIRY_KEYS)
    if kind == "after":
        round_to = table.choice("round_to", get_args(Unit), "day") if table.has("round_to") else None
        return ExpireAfter(_period(table), round_to)
    if kind == "fixed":
        if not table.has("month_day"):
            table.missing("month_day", 'month_day = "12-31"')
        month, day = table.month_day("month_day") or (12, 31)
        return ExpireFixed(month, day, table.whole("min_days", 0, _MOST_DAYS) or 0)
    return ExpireInactivity(_period(table)) if kind == "inactivity" else ExpireNever()


def _refuse_foreign_keys(table: Table, kind: str, keys: dict[str, tuple[str, ...]]) -> None:
    for other, theirs in keys.items():
        for key in theirs:
            if table.has(key) and key not in keys[kind] and key not in _before(other, keys):
                table.error(key, f'{key} means nothing here: take it out, or write kind = "{other}"')


def _before(kind: str, keys: dict[str, tuple[str, ...]]) -> set[str]:
    """Keys of the kinds before this one, so that a key of several kinds is told once."""
    kinds = list(keys)
    return {key for earlier in kinds[: kinds.index(kind)] for key in keys[earlier]}


def _period(table: Table) -> Period:
    given = [unit for unit in _LONGEST_LIFE if table.has(unit)]
    if not given:
        table.error("months", "how long points live is missing: add one of days, months or years")
    for extra in given[1:]:
        table.error(extra, f"{extra} and {given[0]} cannot both be given: keep one of them")
    lengths = {unit: table.whole(unit, 1, _LONGEST_LIFE[unit]) or 0 for unit in given}
    return Period(**lengths)


def read_selector(table: Table | None) -> Selector | None:
    """`where` of a rule, or `exclude` of the points."""
    if table is None:
        return None
    return Selector(
        sku=table.texts("sku"),
        not_sku=table.texts("not_sku"),
        category=table.texts("category"),
        not_category=table.texts("not_category"),
        tag=table.texts("tag"),
        not_tag=table.texts("not_tag"),
        min_quantity=table.number("min_quantity", 0, 1_000_000_000, above=True),
    )


def read_redemption(table: Table | None) -> RedemptionPolicy | None:
    """`[redemption]`; without it nothing can be redeemed."""
    if table is None:
        return None
    for key, example in (
        ("points", "points = 100"),
        ("amount", "amount = 100 (what these points are worth)"),
    ):
        if not table.has(key):
            table.missing(key, example)
    points = table.whole("points", 1, 1_000_000_000) or 1
    amount = table.whole("amount", 1, 1_000_000_000) or 1
    least = table.whole("min_points", 1, MAX_AMOUNT) or 1
    step = table.whole("step_points", 1, MAX_AMOUNT) or 1
    share = table.number("max_basket_share", 0, 1, above=True)
    if least % step and table.has("min_points"):
        table.warning("min_points", f"{least} is no whole number of steps: in effect {least + -least % step}")
    if step * amount % points:
        worth = Fraction(step * amount, points)
        key = "step_points" if table.has("step_points") else "points"
        table.warning(key, f"a step of {step} points is worth {worth}; what is below a minor unit is dropped")
    return RedemptionPolicy(points, amount, least, step, Fraction(1) if share is None else share)


def read_tiers(tables: list[Table]) -> tuple[Tier, ...]:
    """`[[tiers]]`, lowest first. None given: one tier called ordinary."""
    tiers: list[Tier] = []
    seen: set[str] = set()
    for number, table in enumerate(tables):
        if not table.has("id"):
            table.missing("id", 'id = "silver"')
        tier_id = table.text("id", IDENTIFIER, IDENTIFIER_SHAPE) or f"#{number}"
        if tier_id in seen:
            table.error("id", f"{quote(tier_id)} is the id of an earlier tier: give each its own")
        seen.add(tier_id)
        qualify = _qualify(table.table("qualify", ("spend_amount", "visits", "need")))
        if number == 0 and table.has("qualify"):
            table.error("qualify", "the first tier asks for nothing: take qualify out of it")
        elif number and not table.has("qualify"):
            table.missing("qualify", "qualify = { spend_amount = 500000 } (only the first tier goes without)")
        tiers.append(
            Tier(tier_id, qualify, _benefits(table.table("benefits", ("discount_percent", "privileges"))))
        )
    return tuple(tiers) or (Tier(id="ordinary"),)


def _qualify(table: Table | None) -> Qualify | None:
    if table is None:
        return None
    if not table.has("spend_amount") and not table.has("visits"):
        table.error("spend_amount", "a tier needs something to reach: add spend_amount or visits")
    return Qualify(
        spend_amount=table.whole("spend_amount", 1, MAX_AMOUNT),
        visits=table.whole("visits", 1, 100_000),
        need=table.choice("need", get_args(Need), "any"),
    )


def _benefits(table: Table | None) -> Benefits:
    if table is None:
        return Benefits()
    percent = table.number("discount_percent", 0, 100)
    written = table.raw("discount_percent")
    kept = written if percent is not None and isinstance(written, int | Decimal) else None
    names = table.texts("privileges") or frozenset()
    listed = table.raw("privileges")
    order = listed if isinstance(listed, list) else [listed]
    return Benefits(
        kept, tuple(dict.fromkeys(name for name in order if isinstance(name, str) and name in names))
    )


def read_tier_policy(table: Table | None) -> TierPolicy:
    """`[tier_policy]`."""
    if table is None:
        return TierPolicy()
    return TierPolicy(
        window=_window(table.table("window", ("kind", "months"))),
        validity_months=table.whole("validity_months", 1, 1_200) or 12,
        downgrade=table.choice("downgrade", get_args(Downgrade), "one_step"),
        grace_days=table.whole("grace_days", 0, _MOST_DAYS) or 0,
        on_return=table.choice("on_return", get_args(OnReturn), "review"),
    )


def _window(table: Table | None) -> WindowRolling | WindowCalendarYear:
    if table is None:
        return WindowRolling()
    if not table.has("kind"):
        table.missing("kind", 'kind = "rolling" or kind = "calendar_year"')
    if table.choice("kind", ("rolling", "calendar_year"), "rolling") == "calendar_year":
        if table.has("months"):
            table.error("months", "a calendar year has its own length: take months out")
        return WindowCalendarYear()
    return WindowRolling(table.whole("months", 1, 1_200) or 12)
