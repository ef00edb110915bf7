"""What an event earns, from DESIGN.md section 4 with fractions and loops only."""

from fractions import Fraction
from math import ceil

from loyalty.program.model import Program

from .model_rules import ZERO, Award, Facts, Used, cap_of, in_force, is_counted, rounded


def judge_event(program: Program, type: str, facts: Facts) -> Award:
    """Every rule is asked; of each group the one worth most counts, of equals the first."""
    given: dict[str, Fraction] = {}
    best: dict[str, str] = {}
    for rule in program.rules:
        if (
            rule.kind != "event"
            or type not in (rule.types or ())
            or not in_force(program, rule, facts, ZERO, 0)
        ):
            continue
        points, cap = rule.points or ZERO, cap_of(rule, facts.used.get(rule.id, Used()))
        given[rule.id] = points if cap is None else min(points, Fraction(cap))
        if rule.group is not None:
            rival = best.get(rule.group)
            if rival is None or given[rule.id] > given[rival]:
                best[rule.group] = rule.id
    counted = {rule.id for rule in program.rules if is_counted(rule)}
    groups = {rule.id: rule.group for rule in program.rules}
    kept = {
        name: points
        for name, points in given.items()
        if points and (groups[name] is None or best[groups[name] or ""] == name)
    }
    total = sum(kept.values(), ZERO)
    return Award(
        shares={name: {None: points} for name, points in kept.items()},
        points=rounded(program, total),
        total=total,
        base=ZERO,
        charges={name: ceil(points) for name, points in kept.items() if name in counted},
    )
