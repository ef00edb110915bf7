"""Reads every part of a program but its rules: points, redemption, tiers and their policy."""

from decimal import Decimal
from fractions import Fraction

from loyalty.program.diagnostics import quote
from loyalty.program.keys import PERIOD
from loyalty.program.model import (
    Benefits,
    ExpireAfter,
    ExpireFixed,
    ExpireInactivity,
    ExpireNever,
    Expiry,
    Period,
    PointsPolicy,
    Qualify,
    RedemptionPolicy,
    Selector,
    Tier,
    TierPolicy,
    WindowCalendarYear,
    WindowRolling,
)
from loyalty.program.reader import Table


def read_points(table: Table | None) -> PointsPolicy:
    """`[points]`; what is left out takes the default of DESIGN.md section 9."""
    if table is None:
        return PointsPolicy()
    exclude = table.table("exclude")
    if exclude is not None and not exclude.has_some():
        table.error("exclude", "exclude is empty, which selects every line: nothing would ever earn")
    return PointsPolicy(
        rounding=table.choice("rounding"),
        pending_days=table.whole_or_default("pending_days"),
        expiry=_expiry(table),
        late_grace_days=table.whole_or_default("late_grace_days"),
        restore_grace_days=table.whole_or_default("restore_grace_days"),
        shortfall=table.choice("shortfall"),
        unlinked_returns=table.choice("unlinked_returns"),
        multipliers=table.choice("multipliers"),
        exclude=read_selector(exclude),
    )


def _expiry(points: Table) -> Expiry:
    table = points.table("expiry")
    if table is None:
        return ExpireNever()
    if not table.has("kind"):
        table.missing("kind", 'kind = "never", "after", "fixed" or "inactivity"')
        return ExpireNever()
    kind = table.choice("kind")
    if kind is None:
        return ExpireNever()
    _refuse_foreign_keys(table, kind)
    for key, example in table.shape.kinds[kind].needs.items():
        if not table.has(key):
            table.missing(key, example)
    if kind == "after":
        return ExpireAfter(_period(table), table.choice("round_to"))
    if kind == "fixed":
        month, day = table.month_day("month_day") or (12, 31)
        return ExpireFixed(month, day, table.whole_or_default("min_days"))
    return ExpireInactivity(_period(table)) if kind == "inactivity" else ExpireNever()


def _refuse_foreign_keys(table: Table, kind: str) -> None:
    kinds = table.shape.kinds
    for key in table.shape.keys:
        other = next((name for name in kinds if key in kinds[name].own), None)
        if table.has(key) and other is not None and key not in kinds[kind].own:
            table.error(key, f'{key} means nothing here: take it out, or write kind = "{other}"')


def _period(table: Table) -> Period:
    given = [unit for unit in PERIOD if table.has(unit)]
    if not given:
        table.error("months", "how long points live is missing: add one of days, months or years")
    for extra in given[1:]:
        table.error(extra, f"{extra} and {given[0]} cannot both be given: keep one of them")
    lengths = {unit: table.whole(unit) or 0 for unit in given}
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
        min_quantity=table.number("min_quantity"),
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
    points = table.whole("points") or 1
    amount = table.whole("amount") or 1
    least = table.whole_or_default("min_points")
    step = table.whole_or_default("step_points")
    share = table.number("max_basket_share")
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
        tier_id = table.text("id") or f"#{number}"
        if tier_id in seen:
            table.error("id", f"{quote(tier_id)} is the id of an earlier tier: give each its own")
        seen.add(tier_id)
        qualify = _qualify(table.table("qualify"))
        if number == 0 and table.has("qualify"):
            table.error("qualify", "the first tier asks for nothing: take qualify out of it")
        elif number and not table.has("qualify"):
            table.missing("qualify", "qualify = { spend_amount = 500000 } (only the first tier goes without)")
        tiers.append(Tier(tier_id, qualify, _benefits(table.table("benefits"))))
    return tuple(tiers) or (Tier(id="ordinary"),)


def _qualify(table: Table | None) -> Qualify | None:
    if table is None:
        return None
    if not table.has_some():
        table.error("spend_amount", "a tier needs something to reach: add spend_amount or visits")
    return Qualify(
        spend_amount=table.whole("spend_amount"),
        visits=table.whole("visits"),
        need=table.choice("need"),
    )


def _benefits(table: Table | None) -> Benefits:
    if table is None:
        return Benefits()
    percent = table.number("discount_percent")
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
        window=_window(table.table("window")),
        validity_months=table.whole_or_default("validity_months"),
        downgrade=table.choice("downgrade"),
        grace_days=table.whole_or_default("grace_days"),
        on_return=table.choice("on_return"),
    )


def _window(table: Table | None) -> WindowRolling | WindowCalendarYear:
    if table is None:
        return WindowRolling()
    if not table.has("kind"):
        table.missing("kind", 'kind = "rolling" or kind = "calendar_year"')
    if table.choice("kind") == "calendar_year":
        if table.has("months"):
            table.error("months", "a calendar year has its own length: take months out")
        return WindowCalendarYear()
    return WindowRolling(table.whole_or_default("months"))
