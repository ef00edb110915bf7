"""What one key alone does not show: names that must exist, and what is legal but surely not meant."""

from datetime import date, timedelta

from loyalty.program.diagnostics import Diagnostic, Path, Report, nearest, quote
from loyalty.program.model import Program, Rule, Selector, When


def check_program(program: Program, report: Report) -> None:
    """Reports on the program as a whole; every section of it was read before."""
    tiers = tuple(tier.id for tier in program.tiers)
    for number, rule in enumerate(program.rules):
        _tier_names(rule, tiers, ("rules", number), report)
    if report.failed:
        # What could not be read is missing from the program: a warning about it might be about nothing.
        return
    for number, rule in enumerate(program.rules):
        _never_fires(rule, ("rules", number), report)
        _pointless(rule, ("rules", number), report)
    _groups(program, report)
    _ladder(program, report)
    if not any(rule.kind != "multiplier" for rule in program.rules):
        report.warning(("rules",), "no rule gives points: add one of kind spend, units or flat")
    elif not any(rule.kind == "spend" for rule in program.rules):
        for number, rule in enumerate(program.rules):
            if rule.kind == "multiplier":
                report.warning(("rules", number, "kind"), "no spend rule has points that it could multiply")


def same_frame(old: Program, new: Program) -> list[Diagnostic]:
    """What a new version may not change: the currency, and the ids of tiers (new ones may be added).

    Balances and members' tiers outlive versions, so what they are told in must too (DESIGN.md section 7).
    """
    found = Report()
    if new.currency != old.currency:
        found.error(
            ("currency",),
            f"{quote(new.currency)} differs from {quote(old.currency)} in force: it has to stay",
        )
    kept = [tier.id for tier in new.tiers]
    for tier in old.tiers:
        if tier.id not in kept:
            found.error(("tiers",), f"the tier {quote(tier.id)} in force is gone: its id has to stay")
    return found.diagnostics()


def _tier_names(rule: Rule, tiers: tuple[str, ...], path: Path, report: Report) -> None:
    for name in sorted((rule.when and rule.when.tier) or ()):
        if name not in tiers:
            report.error((*path, "when", "tier"), f"{quote(name)} is no tier here: {nearest(name, tiers)}")


def _never_fires(rule: Rule, path: Path, report: Report) -> None:
    where = rule.where
    if where is not None:
        for name in ("sku", "category", "tag"):
            wanted, refused = getattr(where, name), getattr(where, f"not_{name}")
            if wanted and refused and (wanted <= refused or (name == "tag" and wanted & refused == wanted)):
                report.warning((*path, "where", f"not_{name}"), f"excludes all of {name}: it never fires")
    when = rule.when
    if when is not None and not _some_day(rule, when):
        report.warning((*path, "when"), "no day within its dates meets all of this: it never fires")


def _some_day(rule: Rule, when: When) -> bool:
    """Whether any day may fit. Weekdays and dates meet again within 28 years, also on 29 February."""
    if when.weekday is None and when.day_of_month is None and when.month_day is None:
        return True
    first = rule.from_on or date(2000, 1, 1)
    last = rule.until_on or first + timedelta(days=28 * 366)
    days = min((last - first).days, 28 * 366)
    candidates = (first + timedelta(days=number) for number in range(days))
    return any(
        (when.weekday is None or day.weekday() in when.weekday)
        and (when.day_of_month is None or day.day in when.day_of_month)
        and (when.month_day is None or (day.month, day.day) in when.month_day)
        for day in candidates
    )


def _pointless(rule: Rule, path: Path, report: Report) -> None:
    if rule.factor == 1:
        report.warning((*path, "factor"), "1 changes nothing: a factor of 2 doubles")
    if rule.limit and rule.limit.budget_points is not None and rule.until_on is None:
        report.warning((*path, "limit", "budget_points"), "a budget without until: it may run dry on any day")
    if rule.where == Selector():
        report.warning((*path, "where"), "selects every line, as without where")


def _groups(program: Program, report: Report) -> None:
    sizes: dict[str, int] = {}
    for rule in program.rules:
        if rule.group is not None:
            sizes[rule.group] = sizes.get(rule.group, 0) + 1
    for number, rule in enumerate(program.rules):
        if rule.group is not None and sizes[rule.group] == 1:
            report.warning(
                ("rules", number, "group"),
                f"{quote(rule.group)} has no other rule to exclude: {_other_groups(rule.group, sizes)}",
            )


def _other_groups(name: str, sizes: dict[str, int]) -> str:
    others = tuple(other for other in sizes if other != name)
    return nearest(name, others) if others else "give the others the same group, or take it out"


def _ladder(program: Program, report: Report) -> None:
    highest: dict[str, int] = {}
    for number, tier in enumerate(program.tiers):
        for key in ("spend_amount", "visits"):
            value = getattr(tier.qualify, key, None)
            if value is None:
                continue
            if value <= highest.get(key, 0):
                report.warning(
                    ("tiers", number, "qualify", key),
                    f"{value} is not above the {highest[key]} of a tier before it: the lowest comes first",
                )
            highest[key] = max(value, highest.get(key, 0))
