"""What a basket earns, written from DESIGN.md section 4 with fractions and loops only.

It knows no index, no scale and no plan: it asks every rule about every line.
"""

from datetime import time
from fractions import Fraction
from math import floor

from loyalty.program.model import Limit, Program, Rule, Selector, When
from loyalty.rules.facts import Facts, JudgedLine, Used

Shares = dict[tuple[str, int | None], Fraction]


def total_of(shares: Shares) -> Fraction:
    return sum(shares.values(), Fraction(0))


class Model:
    """DESIGN.md section 4, sentence by sentence."""

    def __init__(self, program: Program, basket: list[JudgedLine], facts: Facts) -> None:
        self.program, self.facts = program, facts
        money = Fraction(facts.basket_amount - facts.redeemed_amount, facts.basket_amount or 1)
        exclude = program.points.exclude
        self.lines = [line for line in basket if exclude is None or not self.selects(exclude, line)]
        part = money if facts.redeemed_amount else Fraction(1)
        self.base = {line.line: line.amount * part for line in self.lines}

    @staticmethod
    def selects(selector: Selector, line: JudgedLine) -> bool:
        return (
            (selector.sku is None or line.sku in selector.sku)
            and (selector.not_sku is None or line.sku not in selector.not_sku)
            and (selector.category is None or line.category in selector.category)
            and (selector.not_category is None or line.category not in selector.not_category)
            and (selector.tag is None or bool(selector.tag & set(line.tags)))
            and (selector.not_tag is None or not selector.not_tag & set(line.tags))
            and (selector.min_quantity is None or Fraction(line.quantity) >= selector.min_quantity)
        )

    def matched(self, rule: Rule) -> list[JudgedLine]:
        return [line for line in self.lines if rule.where is None or self.selects(rule.where, line)]

    def holds(self, rule: Rule) -> bool:
        local = self.facts.occurred_at.astimezone(self.program.time_zone)
        day = local.date()
        if (rule.from_on and day < rule.from_on) or (rule.until_on and day >= rule.until_on):
            return False
        when = rule.when or When()
        return (
            (when.channel is None or self.facts.channel in when.channel)
            and (when.tier is None or self.facts.tier in when.tier)
            and (when.store is None or self.facts.store in when.store)
            and (when.weekday is None or day.weekday() in when.weekday)
            and (when.day_of_month is None or day.day in when.day_of_month)
            and (when.month_day is None or (day.month, day.day) in when.month_day)
            and self.within_hours(when, local.time())
            and (when.birthday is None or when.birthday in self.facts.birthday)
            and (when.first_purchase is None or when.first_purchase == self.facts.first_purchase)
            and (when.min_amount is None or sum(self.base.values()) >= when.min_amount)
            and (when.min_lines is None or len(self.lines) >= when.min_lines)
        )

    @staticmethod
    def within_hours(when: When, now: time) -> bool:
        begin, end = when.time_from or time(0), when.time_until
        if end is None:
            return now >= begin
        if when.time_from is None or begin < end:
            return begin <= now < end
        return not end <= now < begin  # past midnight

    def alone(self, rule: Rule, spend: dict[int | None, Fraction]) -> Shares:
        """What the rule wants before its limits."""
        matched = self.matched(rule)
        points, gain = rule.points or Fraction(0), (rule.factor or Fraction(1)) - 1
        if rule.kind == "flat":
            return {(rule.id, None): points}
        if rule.kind == "units":
            return {(rule.id, line.line): Fraction(line.quantity) * points for line in matched}
        if rule.kind == "multiplier":
            return {(rule.id, line.line): spend[line.line] * gain for line in matched}
        per = Fraction(rule.per_amount or 1)
        base = sum((self.base[line.line] for line in matched), Fraction(0))
        if not rule.whole_steps:
            return {(rule.id, line.line): self.base[line.line] * points / per for line in matched}
        steps = floor(base / per)
        return {(rule.id, line.line): steps * points * self.base[line.line] / (base or 1) for line in matched}

    def cap(self, rule: Rule) -> int | None:
        limit, used = rule.limit or Limit(), self.facts.used.get(rule.id, Used())
        caps = [limit.per_purchase_points]
        if limit.per_member is not None and used.times >= limit.per_member:
            caps.append(0)
        if limit.per_member_day is not None and used.times_day >= limit.per_member_day:
            caps.append(0)
        if limit.per_member_points is not None:
            caps.append(max(0, limit.per_member_points - used.points))
        if limit.budget_points is not None:
            caps.append(limit.budget_points if used.budget_left is None else used.budget_left)
        return min((cap for cap in caps if cap is not None), default=None)

    def trimmed(self, rule: Rule, wanted: Shares) -> Shares:
        cap, total = self.cap(rule), sum(wanted.values(), Fraction(0))
        if cap is None or total <= cap:
            return wanted
        return {key: part * cap / total for key, part in wanted.items()}

    def spend(self, given: dict[str, Shares], active: list[Rule]) -> dict[int | None, Fraction]:
        spend: dict[int | None, Fraction] = dict.fromkeys(self.base, Fraction(0))
        for rule in active:
            if rule.kind == "spend" and rule.id in given:
                for (_, line), part in given[rule.id].items():
                    spend[line] += part
        return spend

    def judge(self) -> dict[str, Shares]:
        active = [rule for rule in self.program.rules if self.matched(rule) and self.holds(rule)]
        nothing: dict[int | None, Fraction] = {}
        given = {
            rule.id: self.trimmed(rule, self.alone(rule, nothing))
            for rule in active
            if rule.kind != "multiplier" and rule.group is None
        }
        groups = list(dict.fromkeys(rule.group for rule in active if rule.group is not None))
        multiplying = {rule.group for rule in active if rule.kind == "multiplier"}
        chosen: set[str] = set()
        for group in sorted(groups, key=lambda name: name in multiplying):
            spend = self.spend(given, active)
            best, most, kept = None, Fraction(-1), Shares()
            for rule in active:
                if rule.group == group:
                    shares = self.trimmed(rule, self.alone(rule, spend))
                    worth = sum(shares.values(), Fraction(0))
                    if worth > most:
                        best, most, kept = rule, worth, shares
            assert best is not None
            chosen.add(best.id)
            if best.kind != "multiplier":
                given[best.id] = kept
        multipliers = [
            rule for rule in active if rule.kind == "multiplier" and (rule.group is None or rule.id in chosen)
        ]
        given |= self.multiplied(multipliers, self.spend(given, active))
        return given

    def multiplied(self, rules: list[Rule], spend: dict[int | None, Fraction]) -> dict[str, Shares]:
        gains: dict[str, Shares] = {}
        mode = self.program.points.multipliers
        for rule in rules:
            wanted = self.alone(rule, spend)
            if mode == "best" and self.cap(rule) != 0:
                for key in list(wanted):
                    rivals = [
                        other
                        for other in rules
                        if self.cap(other) != 0 and any(line.line == key[1] for line in self.matched(other))
                    ]
                    if max(rivals, key=lambda other: other.factor or 0) is not rule:
                        del wanted[key]
            gains[rule.id] = self.trimmed(rule, wanted)
            if mode == "compound":
                for (_, line), part in gains[rule.id].items():
                    spend[line] += part
        return gains
