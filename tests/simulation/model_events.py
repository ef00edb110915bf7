"""Events, from DESIGN.md section 4 with fractions and loops only: what they earn, and what is answered."""

from fractions import Fraction
from math import ceil
from typing import Any

from loyalty.calendar import calendar_of
from loyalty.program.model import Program
from loyalty.types import Engagement

from .model_purchases import Buying
from .model_rules import (
    ZERO,
    Award,
    Facts,
    Used,
    birthday_years,
    cap_of,
    exact_text,
    in_force,
    is_counted,
    rounded,
)


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


class Engaging(Buying):
    def event(self, request: Engagement) -> dict[str, Any]:
        """What an event answers. It is no visit, no purchase, and qualifies for nothing."""
        account = self.member(request.member)
        self.check_time(request.occurred_at)
        account.post_due(self.now)
        version, program = self.version_at(request.occurred_at)
        day = calendar_of(program.time_zone).day(request.occurred_at)
        facts = Facts(
            occurred_at=request.occurred_at,
            channel=request.channel or "",
            store=None,
            tier=account.tier_at(program, request.occurred_at),
            first_purchase=False,
            birthday=frozenset(birthday_years(account.birthday, account.pins, day)),
            paid=Fraction(1),
            used=self.used(account, request.occurred_at, program),
        )
        award = judge_event(program, request.type, facts)
        account.begin(request.occurred_at, self.now, event_id=request.event_id)
        repaid, pending, lots = self.earn(account, request.occurred_at, None, program, award.points)
        self.charge(account, program, facts, {}, award.charges)
        self.pin(account, program, request.occurred_at, award)
        return {
            "event_id": request.event_id,
            "member_id": account.member_id,
            "type": request.type,
            "points_earned": award.points,
            "points_pending": pending,
            "debt_repaid": repaid,
            "lots": lots,
            "explain": [(rule, None, exact_text(parts[None])) for rule, parts in award.shares.items()],
            "rounding": exact_text(award.total - award.points),
            "balance": account.balance(self.now),
            "program_version": version,
            "recorded_at": self.now,
        }
