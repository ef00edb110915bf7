"""Makes the report of what all ranges gave: sums become rows, at the rates of the programs, named and in order."""

from collections import Counter
from datetime import datetime
from fractions import Fraction
from math import floor

from loyalty.backtest.part import Member, Part
from loyalty.backtest.report import (
    REST,
    BudgetRow,
    Capped,
    GainRow,
    MatrixRow,
    MemberRow,
    MonthRow,
    Movement,
    Points,
    Refused,
    Report,
    Reproduced,
    RuleRow,
    RuleSum,
    Side,
    TierChanges,
    TierRow,
)
from loyalty.backtest.stretches import OPENING
from loyalty.backtest.tally import Sums
from loyalty.backtest.worker import Frame
from loyalty.engine.programs import Programs, ProgramVersion
from loyalty.program.model import Program
from loyalty.rules.redeem import amount_for_points


def report_of(
    part: Part,
    programs: Programs,
    candidate: ProgramVersion | None,
    frame: Frame,
    member_ids: dict[int, str],
    now: datetime,
    seconds: float,
    processes: int,
    passes: int,
) -> Report:
    """The report of what all ranges gave."""
    in_force = programs.at(frame.end)
    tried = candidate or in_force
    before, after = in_force.program, tried.program
    gains = part.gains
    winners = sum(count for size, count in gains.items() if size > 0)
    losers = sum(count for size, count in gains.items() if size < 0)
    return Report(
        currency=after.currency,
        time_zone=after.time_zone.key,
        as_of=now,
        start=frame.start,
        end=min(frame.end, now),
        accounts=part.accounts,
        members=sum(gains.values()),
        postings=part.postings,
        purchases=part.purchases,
        seconds=round(seconds, 3),
        purchases_per_second=round(part.purchases * passes / seconds, 1) if seconds else 0.0,
        processes=processes,
        passes=passes,
        reproduced=Reproduced(
            part.checked > 0,
            part.checked,
            part.different_count,
            [f"{member_ids.get(account, account)}: {text}" for account, text in part.different],
        ),
        now=_side(before, in_force.version, part.now),
        candidate=_side(after, None, part.candidate),
        months=_months(part, before, after),
        tiers=[_tier(tier.id, part, before, after) for tier in after.tiers],
        rules=_rules(part, programs, before, after),
        budgets=_budgets(part.candidate, after, frame),
        gains_in="amount" if before.redemption and after.redemption else "points",
        winners=winners,
        losers=losers,
        unchanged=gains[0],
        gains=[GainRow(*bounds(size), gains[size]) for size in sorted(gains)],
        most_gained=_members(part.winners, member_ids, 1),
        most_lost=_members(part.losers, member_ids, -1),
        matrix=[
            MatrixRow(row.id, {column.id: part.matrix[row.id, column.id] for column in after.tiers})
            for row in before.tiers
        ],
    )


def _movement(points: Counter[str], program: Program) -> Movement:
    redeemed = -points["redeem"] - points["restore"]
    return Movement(
        issued=points["earn"],
        clawed_back=-points["clawback"],
        redeemed=redeemed,
        expired=-points["expire"],
        adjusted=points["adjust"],
        cost_amount=amount_for_points(program.redemption, points["earn"] + points["clawback"]),
        redeemed_amount=amount_for_points(program.redemption, redeemed),
    )


def _points(points: int, program: Program) -> Points:
    return Points(points, amount_for_points(program.redemption, points))


def _in_month(sums: Sums, month: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for (name, _, kind), points in sums.moved.items():
        if name == month:
            found[kind] += points
    return found


def _in_period(sums: Sums, tier: str | None = None) -> Counter[str]:
    """Points by kind; of one tier, or of all."""
    found: Counter[str] = Counter()
    for (month, name, kind), points in sums.moved.items():
        if month != OPENING and tier in (None, name):
            found[kind] += points
    return found


def _side(program: Program, version: int | None, sums: Sums) -> Side:
    ends: Counter[str] = Counter()
    for (what, _), points in sums.ends.items():
        ends[what] += points
    return Side(
        name=program.name,
        version=version,
        total=_movement(_in_period(sums), program),
        outstanding=_points(ends["points"], program),
        held=ends["held"],
        debt=ends["debt"],
        tier_changes=TierChanges(sums.changes["promotion"], sums.changes["renewal"], sums.changes["fall"]),
        capped=[
            Capped(
                kind,
                sums.capped[kind, "count"],
                sums.capped[kind, "dropped"],
                sums.capped[kind, "wanted"],
                sums.capped[kind, "made"],
            )
            for kind in sorted({kind for kind, _ in sums.capped})
        ],
        refused=[Refused(kind, code, count) for (kind, code), count in sorted(sums.refused.items())],
    )


def _months(part: Part, before: Program, after: Program) -> list[MonthRow]:
    names = sorted({month for sums in (part.now, part.candidate) for month, _, _ in sums.moved} - {OPENING})
    had = sum(_in_month(part.now, OPENING).values())
    has = sum(_in_month(part.candidate, OPENING).values())
    rows = []
    for month in names:
        now, candidate = _in_month(part.now, month), _in_month(part.candidate, month)
        had, has = had + sum(now.values()), has + sum(candidate.values())
        rows.append(
            MonthRow(
                month,
                _movement(now, before),
                _movement(candidate, after),
                _points(had, before),
                _points(has, after),
            )
        )
    return rows


def _tier(tier: str, part: Part, before: Program, after: Program) -> TierRow:
    return TierRow(
        tier,
        _movement(_in_period(part.now, tier), before),
        _movement(_in_period(part.candidate, tier), after),
        part.now.ends["members", tier],
        part.candidate.ends["members", tier],
        _points(part.now.ends["points", tier], before),
        _points(part.candidate.ends["points", tier], after),
    )


def _rules(part: Part, programs: Programs, before: Program, after: Program) -> list[RuleRow]:
    """The rules in the order of the candidate's file, then those that only the other side has."""
    sides = [_rule_sums(part.now, before), _rule_sums(part.candidate, after)]
    names = [rule.id for rule in after.rules]
    names += [rule for side in sides for rule in side if rule not in set(names) and rule != REST]
    names = list(dict.fromkeys(names))
    had = {rule.id for version in programs.all for rule in version.program.rules}
    has = {rule.id for rule in after.rules} | sides[1].keys()
    rows = []
    for name in names:
        now = sides[0].get(name) or (RuleSum(0, 0, 0, 0) if name in had else None)
        candidate = sides[1].get(name) or (RuleSum(0, 0, 0, 0) if name in has else None)
        if now is None or candidate is None or now.purchases or candidate.purchases:
            rows.append(RuleRow(name, now, candidate))
    rows.append(RuleRow(REST, sides[0][REST], sides[1][REST]))
    return rows


def _rule_sums(sums: Sums, program: Program) -> dict[str, RuleSum]:
    earned: dict[str, Fraction] = {}
    times: Counter[str] = Counter()
    for scale, rules in sums.gave.items():
        for rule, gave in rules.items():
            earned[rule] = earned.get(rule, Fraction()) + Fraction(gave.points) / scale
            times[rule] += gave.times
    found = {}
    for rule in earned.keys() | sums.returned.keys():
        issued, back = floor(earned.get(rule, Fraction())), floor(sums.returned.get(rule, Fraction()))
        cost = amount_for_points(program.redemption, issued - back)
        found[rule] = RuleSum(times[rule], issued, back, cost)
    moved = _in_period(sums)
    issued = moved["earn"] - sum(rule.issued for rule in found.values())
    back = -moved["clawback"] - sum(rule.clawed_back for rule in found.values())
    found[REST] = RuleSum(0, issued, back, amount_for_points(program.redemption, issued - back))
    order = sorted(found, key=lambda rule: -found[rule].issued)
    return {rule: found[rule] for rule in order}


def _budgets(sums: Sums, program: Program, frame: Frame) -> list[BudgetRow]:
    return [
        BudgetRow(
            rule.id,
            rule.limit.budget_points,
            sums.budgets[rule.id],
            amount_for_points(program.redemption, sums.budgets[rule.id]),
            frame.closed.get(rule.id),
        )
        for rule in program.rules
        if rule.limit is not None and rule.limit.budget_points is not None
    ]


def bounds(size: int) -> tuple[int, int]:
    """What a class of gains holds: 3 is 100 to 999."""
    if not size:
        return 0, 0
    least, most = 10 ** (abs(size) - 1), 10 ** abs(size) - 1
    return (least, most) if size > 0 else (-most, -least)


def _members(top: list[tuple[int, int, Member]], member_ids: dict[int, str], sign: int) -> list[MemberRow]:
    return [
        MemberRow(
            member_ids.get(member.account, str(member.account)),
            sign * gain,
            member.redeemed_now,
            member.left_now,
            member.tier_now,
            member.redeemed,
            member.left,
            member.tier,
        )
        for gain, _, member in sorted(top, key=lambda one: (-one[0], -one[1]))
    ]
