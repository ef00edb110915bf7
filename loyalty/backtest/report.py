"""What a backtest says, as values: the JSON of `--json` and of the job.

Points are integers, signed as a reader expects them (redeemed, expired and clawed back points above zero); amounts are
integers of the currency's minor unit, at the rate of the program of their side. Exact points of a rule that is not
whole are rounded down here, once, for the whole period.
"""

from collections import Counter
from datetime import datetime
from fractions import Fraction
from math import floor

from msgspec import Struct

from loyalty.backtest.part import Member, Part
from loyalty.backtest.tally import OPENING, Sums
from loyalty.backtest.worker import Frame
from loyalty.engine.programs import Programs, ProgramVersion
from loyalty.program.model import Program
from loyalty.rules.redeem import amount_for_points


class Points(Struct, frozen=True):
    """Points, and what they are worth in minor units."""

    points: int = 0
    amount: int = 0


class Movement(Struct, frozen=True):
    """What moved. cost: of what was issued and kept (issued - clawed_back). adjusted is signed."""

    issued: int
    clawed_back: int
    redeemed: int
    expired: int
    adjusted: int
    cost_amount: int
    redeemed_amount: int


class Pair(Struct, frozen=True):
    """The same of what was in force, and under the candidate."""

    now: Movement
    candidate: Movement


class MonthRow(Struct, frozen=True):
    """A local month. outstanding: what all members had at its end (debts deducted), and what it was worth."""

    month: str
    now: Movement
    candidate: Movement
    outstanding_now: Points
    outstanding: Points


class TierRow(Struct, frozen=True):
    """What moved while members were in a tier, and who was in it at the end with how many points."""

    tier: str
    now: Movement
    candidate: Movement
    members_now: int
    members: int
    outstanding_now: Points
    outstanding: Points


class RuleSum(Struct, frozen=True):
    """What a rule gave: purchases that it touched, points given and taken back by returns, and the cost of the rest."""

    purchases: int
    issued: int
    clawed_back: int
    cost_amount: int


class RuleRow(Struct, frozen=True):
    """A rule of either program; None: that one has no such rule. `rest` is what rounding and forgiveness make."""

    rule: str
    now: RuleSum | None
    candidate: RuleSum | None


class BudgetRow(Struct, frozen=True):
    """A rule with a budget under the candidate. ran_out_at: the hour from which it gave nothing more."""

    rule: str
    budget_points: int
    used_points: int
    used_amount: int
    ran_out_at: datetime | None


class Capped(Struct, frozen=True):
    """Recorded redemptions (or points taken by hand) that could not be made whole. dropped: not made at all."""

    kind: str
    count: int
    dropped: int
    wanted_points: int
    made_points: int


class Refused(Struct, frozen=True):
    """Recorded requests that would have been refused, by what they were and the problem's code."""

    kind: str
    code: str
    count: int


class GainRow(Struct, frozen=True):
    """Members whose gain lies from `least` to `most`, both included, in minor units or points (see `gains_in`)."""

    least: int
    most: int
    members: int


class MemberRow(Struct, frozen=True):
    """One member: points redeemed in the period and left at its end, and what is gained."""

    member_id: str
    gain: int
    redeemed_now: int
    left_now: int
    tier_now: str
    redeemed: int
    left: int
    tier: str


class MatrixRow(Struct, frozen=True):
    """Members in a tier at the end as things are, by their tier under the candidate."""

    tier_now: str
    members: dict[str, int]


class TierChanges(Struct, frozen=True):
    """Changes of tier in the period."""

    promotions: int
    renewals: int
    falls: int


class Side(Struct, frozen=True):
    """One side. version: of the program in force at the end; None for the candidate."""

    name: str
    version: int | None
    total: Movement
    outstanding: Points
    held: int
    debt: int
    tier_changes: TierChanges
    capped: list[Capped]
    refused: list[Refused]


class Reproduced(Struct, frozen=True):
    """Whether replaying what was in force came to what the ledger holds. Not checked when the period ends early."""

    checked: bool
    accounts: int
    different: int
    examples: list[str]


class Report(Struct, frozen=True):
    """A backtest's result. `gains_in`: `amount` where both programs redeem, else `points`."""

    currency: str
    time_zone: str
    as_of: datetime
    start: datetime | None
    end: datetime
    accounts: int
    members: int
    postings: int
    purchases: int
    seconds: float
    purchases_per_second: float
    processes: int
    passes: int
    reproduced: Reproduced
    now: Side
    candidate: Side
    months: list[MonthRow]
    tiers: list[TierRow]
    rules: list[RuleRow]
    budgets: list[BudgetRow]
    gains_in: str
    winners: int
    losers: int
    unchanged: int
    gains: list[GainRow]
    most_gained: list[MemberRow]
    most_lost: list[MemberRow]
    matrix: list[MatrixRow]


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
            frame.check,
            part.accounts,
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


def _of(sums: Counter[tuple[str, str]], first: str) -> Counter[str]:
    return Counter({kind: points for (name, kind), points in sums.items() if name == first})


def _side(program: Program, version: int | None, sums: Sums) -> Side:
    total: Counter[str] = Counter()
    for (month, kind), points in sums.months.items():
        if month != OPENING:
            total[kind] += points
    ends: Counter[str] = Counter()
    for (what, _), points in sums.ends.items():
        ends[what] += points
    return Side(
        name=program.name,
        version=version,
        total=_movement(total, program),
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
    names = sorted({month for sums in (part.now, part.candidate) for month, _ in sums.months} - {OPENING})
    had = sum(_of(part.now.months, OPENING).values())
    has = sum(_of(part.candidate.months, OPENING).values())
    rows = []
    for month in names:
        now, candidate = _of(part.now.months, month), _of(part.candidate.months, month)
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
        _movement(_of(part.now.tiers, tier), before),
        _movement(_of(part.candidate.tiers, tier), after),
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


REST = "rest"


def _rule_sums(sums: Sums, program: Program) -> dict[str, RuleSum]:
    earned: dict[str, Fraction] = {}
    for (rule, scale), points in sums.earned.items():
        earned[rule] = earned.get(rule, Fraction()) + Fraction(points) / scale
    found = {}
    for rule in earned.keys() | sums.returned.keys():
        issued, back = floor(earned.get(rule, Fraction())), floor(sums.returned.get(rule, Fraction()))
        cost = amount_for_points(program.redemption, issued - back)
        found[rule] = RuleSum(sums.times[rule], issued, back, cost)
    issued = sum(points for (_, kind), points in sums.tiers.items() if kind == "earn")
    back = -sum(points for (_, kind), points in sums.tiers.items() if kind == "clawback")
    issued -= sum(rule.issued for rule in found.values())
    back -= sum(rule.clawed_back for rule in found.values())
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
