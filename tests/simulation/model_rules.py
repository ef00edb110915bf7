"""What a basket earns, from DESIGN.md section 4 with fractions and loops only: every rule is asked about every line.

Knows no index and no scale. `judge` answers with the exact share of each rule on each line.
"""

from datetime import date, datetime, timedelta
from fractions import Fraction
from math import ceil, floor

from msgspec import Struct

from loyalty.calendar import calendar_of
from loyalty.program.model import Limit, Program, Rule, Selector, When

ZERO = Fraction(0)
Shares = dict[int | None, Fraction]


class Goods(Struct, frozen=True):
    """A line of a basket, or what is kept of it."""

    line: int
    sku: str
    amount: int
    quantity: Fraction
    category: str | None
    tags: tuple[str, ...]


class Used(Struct, frozen=True):
    """How far a rule's limits were used before."""

    times: int = 0
    times_day: int = 0
    points: int = 0
    budget: int = 0


class Facts(Struct, frozen=True):
    """What a purchase is judged by, and its returns after it."""

    occurred_at: datetime
    channel: str
    store: str | None
    tier: str
    first_purchase: bool
    birthday: frozenset[str]
    paid: Fraction
    """The part of the basket that was not paid with points."""
    used: dict[str, Used]


class Award(Struct, frozen=True):
    shares: dict[str, Shares]
    points: int
    total: Fraction
    base: Fraction
    charges: dict[str, int]
    """By limited rule that gave something: whole points."""


def selects(where: Selector | None, line: Goods) -> bool:
    if where is None:
        return True
    return (
        (where.sku is None or line.sku in where.sku)
        and (where.not_sku is None or line.sku not in where.not_sku)
        and (where.category is None or line.category in where.category)
        and (where.not_category is None or line.category not in where.not_category)
        and (where.tag is None or any(tag in where.tag for tag in line.tags))
        and (where.not_tag is None or not any(tag in where.not_tag for tag in line.tags))
        and (where.min_quantity is None or line.quantity >= where.min_quantity)
    )


def earning(program: Program, lines: list[Goods]) -> list[Goods]:
    """The lines that are not excluded."""
    exclude = program.points.exclude
    return [line for line in lines if exclude is None or not selects(exclude, line)]


def anniversary(birthday: date, year: int) -> date:
    try:
        return birthday.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def birthday_years(birthday: date | None, pins: dict[int, date], day: date) -> dict[str, int]:
    """Which of day, week (Monday to Sunday) and month hold on a local day, each with the year of the birthday that it
    is. An award of a year pinned that year's."""
    found: dict[str, int] = {}
    monday = day - timedelta(days=day.weekday())
    for one in (monday + timedelta(days=n) for n in range(7)):
        of_year = pins.get(one.year, birthday)
        if of_year is not None and anniversary(of_year, one.year) == one:
            found["week"] = one.year
    of_year = pins.get(day.year, birthday)
    if of_year is not None and anniversary(of_year, day.year) == day:
        found["day"] = day.year
    if of_year is not None and of_year.month == day.month:
        found["month"] = day.year
    return found


def in_force(program: Program, rule: Rule, facts: Facts, base: Fraction, lines: int) -> bool:
    calendar = calendar_of(program.time_zone)
    day = calendar.day(facts.occurred_at)
    if (rule.from_on and day < rule.from_on) or (rule.until_on and day >= rule.until_on):
        return False
    when = rule.when or When()
    wall = calendar.local(facts.occurred_at).time()
    start, end = when.time_from, when.time_until
    if start is not None and end is not None and end < start:
        timely = wall >= start or wall < end
    else:
        timely = (start is None or wall >= start) and (end is None or wall < end)
    return (
        timely
        and (when.channel is None or facts.channel in when.channel)
        and (when.store is None or facts.store in when.store)
        and (when.tier is None or facts.tier in when.tier)
        and (when.weekday is None or day.weekday() in when.weekday)
        and (when.day_of_month is None or day.day in when.day_of_month)
        and (when.month_day is None or (day.month, day.day) in when.month_day)
        and (when.birthday is None or when.birthday in facts.birthday)
        and (when.first_purchase is None or when.first_purchase == facts.first_purchase)
        and (when.min_amount is None or base >= when.min_amount)
        and (when.min_lines is None or lines >= when.min_lines)
    )


def is_counted(rule: Rule) -> bool:
    """Whether use of the rule is remembered from one purchase to the next."""
    limit = rule.limit or Limit()
    return (limit.per_member, limit.per_member_day, limit.per_member_points, limit.budget_points) != (
        None,
    ) * 4


def cap_of(rule: Rule, used: Used) -> int | None:
    """The most whole points that limits and budget leave the rule; None: any number."""
    limit = rule.limit or Limit()
    caps = []
    if limit.per_purchase_points is not None:
        caps.append(limit.per_purchase_points)
    if limit.per_member is not None and used.times >= limit.per_member:
        caps.append(0)
    if limit.per_member_day is not None and used.times_day >= limit.per_member_day:
        caps.append(0)
    if limit.per_member_points is not None:
        caps.append(max(0, limit.per_member_points - used.points))
    if limit.budget_points is not None:
        caps.append(max(0, limit.budget_points - used.budget))
    return min(caps) if caps else None


def trimmed(shares: Shares, cap: int | None) -> Shares:
    total = sum(shares.values(), ZERO)
    if cap is None or total <= cap:
        return shares
    return {line: part * cap / total for line, part in shares.items()}


class Judge:
    """One judgement: of some lines, by one program, under one purchase's facts."""

    def __init__(self, program: Program, lines: list[Goods], facts: Facts) -> None:
        self.program, self.facts = program, facts
        self.lines = earning(program, lines)
        self.base = {line.line: line.amount * facts.paid for line in self.lines}
        self.total_base = sum(self.base.values(), ZERO)
        self.matched = {
            rule.id: [one for one in self.lines if selects(rule.where, one)] for rule in program.rules
        }
        self.active = [
            rule
            for rule in program.rules
            if rule.kind != "event"
            and self.matched[rule.id]
            and in_force(program, rule, facts, self.total_base, len(self.lines))
        ]

    def cap(self, rule: Rule) -> int | None:
        return cap_of(rule, self.facts.used.get(rule.id, Used()))

    def wanted(self, rule: Rule, spend: Shares) -> Shares:
        lines = self.matched[rule.id]
        if rule.kind == "flat":
            return {None: rule.points or ZERO}
        if rule.kind == "units":
            return {line.line: line.quantity * (rule.points or ZERO) for line in lines}
        if rule.kind == "multiplier":
            return {line.line: spend.get(line.line, ZERO) * ((rule.factor or 1) - 1) for line in lines}
        rate = (rule.points or ZERO) / (rule.per_amount or 1)
        if not rule.whole_steps:
            return {line.line: self.base[line.line] * rate for line in lines}
        base = sum((self.base[line.line] for line in lines), ZERO)
        points = floor(base / (rule.per_amount or 1)) * (rule.points or ZERO)
        return {line.line: points * self.base[line.line] / base if base else ZERO for line in lines}

    def given(self, rule: Rule, spend: Shares) -> Shares:
        return trimmed(self.wanted(rule, spend), self.cap(rule))

    @staticmethod
    def worth(shares: Shares) -> Fraction:
        return sum(shares.values(), ZERO)

    def winners(self) -> list[Rule]:
        """The rules that count: of each group the one worth most by itself.

        What a multiplier is worth depends on the spend points that stay: groups with one are settled last.
        """
        staying = [rule for rule in self.active if rule.group is None]
        groups: dict[str, list[Rule]] = {}
        for rule in self.active:
            if rule.group is not None:
                groups.setdefault(rule.group, []).append(rule)
        plain = [rules for rules in groups.values() if all(rule.kind != "multiplier" for rule in rules)]
        mixed = [rules for rules in groups.values() if any(rule.kind == "multiplier" for rule in rules)]
        for rules in plain + mixed:
            spend = self.spend(staying)
            best = rules[0]
            for rule in rules[1:]:
                if self.worth(self.given(rule, spend)) > self.worth(self.given(best, spend)):
                    best = rule
            staying.append(best)
        return [rule for rule in self.active if rule in staying]

    def spend(self, rules: list[Rule]) -> Shares:
        spend: Shares = {}
        for rule in rules:
            if rule.kind == "spend":
                for line, part in self.given(rule, {}).items():
                    spend[line] = spend.get(line, ZERO) + part
        return spend

    def shares(self) -> dict[str, Shares]:
        rules = self.winners()
        found = {rule.id: self.given(rule, {}) for rule in rules if rule.kind != "multiplier"}
        spend, mode = self.spend(rules), self.program.points.multipliers
        factors = [rule for rule in rules if rule.kind == "multiplier"]
        for rule in factors:
            gain = self.wanted(rule, spend)
            if mode == "best":
                for line in list(gain):
                    rivals = [
                        one
                        for one in factors
                        if self.cap(one) != 0 and any(goods.line == line for goods in self.matched[one.id])
                    ]
                    if not rivals or max(rivals, key=lambda one: one.factor or 0) is not rule:
                        del gain[line]
            gain = trimmed(gain, self.cap(rule))
            found[rule.id] = gain
            if mode == "compound":
                for line, part in gain.items():
                    spend[line] = spend.get(line, ZERO) + part
        return found


def rounded(program: Program, total: Fraction) -> int:
    down = floor(total)
    rest = total - down
    if program.points.rounding == "floor" or rest < Fraction(1, 2):
        return down
    if rest > Fraction(1, 2) or program.points.rounding == "half_up":
        return down + 1
    return down + down % 2


def judge(program: Program, lines: list[Goods], facts: Facts) -> Award:
    judging = Judge(program, lines, facts)
    shares = {
        name: {line: part for line, part in parts.items() if part} for name, parts in judging.shares().items()
    }
    totals = {name: sum(parts.values(), ZERO) for name, parts in shares.items()}
    counted = {rule.id for rule in program.rules if is_counted(rule)}
    total = sum(totals.values(), ZERO)
    return Award(
        shares={name: parts for name, parts in shares.items() if parts},
        points=rounded(program, total),
        total=total,
        base=judging.total_base,
        charges={name: ceil(points) for name, points in totals.items() if name in counted and points},
    )


def judge_unlinked(program: Program, lines: list[Goods], occurred_at: datetime) -> Award:
    """By the base rules of the day: spend, without when, where, dates or group."""
    rules = [
        rule
        for rule in program.rules
        if rule.kind == "spend"
        and not (rule.when or rule.where or rule.from_on or rule.until_on or rule.group)
    ]
    kept = []
    for rule in rules:
        limit = rule.limit and Limit(per_purchase_points=rule.limit.per_purchase_points)
        kept.append(
            Rule(
                id=rule.id,
                kind="spend",
                points=rule.points,
                per_amount=rule.per_amount,
                whole_steps=rule.whole_steps,
                limit=limit,
            )
        )
    base = Program(
        name=program.name,
        currency=program.currency,
        time_zone=program.time_zone,
        points=program.points,
        rules=tuple(kept),
    )
    facts = Facts(occurred_at, "", None, "", False, frozenset(), Fraction(1), {})
    return judge(base, lines, facts)


def exact_text(value: Fraction) -> str:
    """A decimal where it ends, else a fraction."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole, part = (digits[:-places], digits[-places:]) if places else (digits, "")
    return ("-" if value < 0 else "") + whole + ("." + part if part else "")
