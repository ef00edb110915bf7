"""What one key alone does not show: names that must exist, and what is legal but surely not meant."""

from datetime import datetime

from loyalty.program.diagnostics import Diagnostic, Path, Report, nearest, quote
from loyalty.program.model import Discount, Program, Rule
from loyalty.program.odd_discounts import check_discounts
from loyalty.program.odd_rules import check_rules
from loyalty.program.odd_terms import check_terms


def check_program(program: Program, report: Report, starts_at: datetime | None = None) -> None:
    """Reports on the program as a whole; every section of it was read before.

    starts_at: from when the program is to be in force, where that is known (aware).
    """
    tiers = tuple(tier.id for tier in program.tiers)
    for number, rule in enumerate(program.rules):
        _tier_names(rule, tiers, ("rules", number), report)
    for number, discount in enumerate(program.discounts):
        _tier_names(discount, tiers, ("discounts", number), report)
    if report.failed:
        # What could not be read is missing from the program: a warning about it might be about nothing.
        return
    starts_on = None if starts_at is None else starts_at.astimezone(program.time_zone).date()
    check_rules(program, report, starts_on)
    check_discounts(program, report, starts_on)
    check_terms(program, report)


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


def _tier_names(rule: Rule | Discount, tiers: tuple[str, ...], path: Path, report: Report) -> None:
    for name in sorted((rule.when and rule.when.tier) or ()):
        if name not in tiers:
            report.error((*path, "when", "tier"), f"{quote(name)} is no tier here: {nearest(name, tiers)}")
