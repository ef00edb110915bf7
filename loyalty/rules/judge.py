"""Judges one basket, or one event: which rules give how many points, on which lines. Pure: values in, values out.

Everything is exact. Amounts are multiplied by the program's common scale and stay integers; quantities with a
fraction, steps and trimmed shares bring in Fractions where they must (DESIGN.md section 4).
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd

from loyalty.calendar import calendar_of
from loyalty.program.model import Program
from loyalty.rules.award import Award
from loyalty.rules.compiled import Compiled
from loyalty.rules.conditions import Basket, Setting
from loyalty.rules.exact import Exact, exact_parts, simplest
from loyalty.rules.facts import Facts, Line
from loyalty.rules.selectors import LineFilter
from loyalty.rules.stacking import Draft, Selected, Spend, exclude_within_groups, multiply, trim

_MOST_PLANS = 4096


class Indexes:
    """The program's rules, found by SKU, category or tag of a line; `broad` ones may touch any. `event`: by type."""

    __slots__ = ("broad", "category", "event", "rules", "sku", "tag")

    def __init__(self) -> None:
        self.rules: list[Compiled] = []
        self.broad: list[Compiled] = []
        self.sku: dict[str, list[Compiled]] = {}
        self.category: dict[str, list[Compiled]] = {}
        self.tag: dict[str, list[Compiled]] = {}
        self.event: dict[str, list[Compiled]] = {}


class Judge:
    """A compiled program. Threads may share it: what it remembers can be worked out again at any time."""

    def __init__(
        self,
        program: Program,
        scale: int,
        indexes: Indexes,
        earning: LineFilter | None,
        unlinked: "Judge | None",
    ) -> None:
        self.program = program
        self._calendar = calendar_of(program.time_zone)
        self._scale = scale
        self._indexes = indexes
        self._indexed = bool(indexes.sku or indexes.category or indexes.tag)
        self._by_store = any(rule.by_store for rule in indexes.rules)
        self._earning = earning
        self._unlinked = unlinked
        self._plans: dict[Setting, list[Compiled]] = {}

    def judge(self, lines: Sequence[Line], facts: Facts) -> Award:
        """What these lines earn under these facts.

        Args:
            lines: a basket, or what is left of one; each with its number, its amount in minor units from 0.
            facts: as looked up for the purchase, or as recorded with it.
        Errors:
            ValueError: something is redeemed and `facts.basket_amount` does not say on how much.
        """
        part, whole = _paid_part(facts)
        earning = lines if self._earning is None else self._earning(lines)
        bases = [line.amount * part for line in earning] if part != 1 else [line.amount for line in earning]
        base = sum(bases)
        scale = self._scale * whole
        if not earning:
            return Award(0, (), (), 0, scale, 0, whole, 0, {})
        # A store that no rule asks for would only multiply what is remembered.
        store = facts.store if self._by_store else None
        setting = Setting(self._calendar.day(facts.occurred_at), facts.channel, store, facts.tier)
        basket = Basket(self._calendar.zone, facts, base, whole, len(earning))
        additive: list[Draft] = []
        flats: list[Draft] = []
        multipliers: list[Selected] = []
        grouped = False
        for rule, positions in self._candidates(earning, setting):
            test = rule.basket_test
            if test is not None and not test(basket):
                continue
            if rule.group is not None:
                grouped = True
            if rule.kind == "multiplier":
                multipliers.append((rule, positions))
            elif rule.kind == "flat":
                flats.append(trim(Draft(rule, (), rule.rate * whole), facts, scale))
            elif rule.kind == "spend":
                additive.append(trim(_spend(rule, positions, bases, base, whole), facts, scale))
            else:
                additive.append(trim(_units(rule, positions, earning, whole), facts, scale))
        if grouped:
            drafts, multipliers = exclude_within_groups(
                additive + flats, multipliers, len(earning), facts, scale
            )
            additive = [draft for draft in drafts if draft.rule.kind != "flat"]
            flats = [draft for draft in drafts if draft.rule.kind == "flat"]
        drafts = additive
        if multipliers:
            spend = Spend(additive, len(earning))
            drafts += multiply(self.program.points.multipliers, multipliers, spend, facts, scale)
        drafts += flats
        return self._award(drafts, earning, scale, base, whole)

    def judge_event(self, type: str, facts: Facts) -> Award:
        """What an event of this type earns under these facts; nothing where no rule knows the type."""
        setting = Setting(self._calendar.day(facts.occurred_at), facts.channel, facts.store, facts.tier)
        basket = Basket(self._calendar.zone, facts, 0, 1, 0)
        drafts: list[Draft] = []
        for rule in self._indexes.event.get(type, ()):
            if rule.shared_test is not None and not rule.shared_test(setting):
                continue
            if rule.basket_test is not None and not rule.basket_test(basket):
                continue
            drafts.append(trim(Draft(rule, (), rule.rate), facts, self._scale))
        drafts, _ = exclude_within_groups(drafts, [], 0, facts, self._scale)
        return self._award(drafts, (), self._scale, 0, 1)

    def _award(
        self, drafts: list[Draft], earning: Sequence[Line], scale: int, base: int, whole: int
    ) -> Award:
        """The drafts together, rounded once. `base` over `whole` is what the lines that earn were paid with."""
        total: Exact = 0
        charges = {}
        for draft in drafts:
            total += draft.total
            if draft.rule.counted and draft.total:
                charges[draft.rule.id] = (1, -(-draft.total // scale))
        return Award(
            _rounded(self.program.points.rounding, total, scale), drafts, earning, total, scale, base, whole,
            base // whole, charges,
        )  # fmt: skip

    def judge_unlinked(self, lines: Sequence[Line], facts: Facts) -> Award:
        """What goods without a known purchase would have earned by the base rules of their day."""
        return (self._unlinked or self).judge(lines, facts)

    def _candidates(
        self, lines: Sequence[Line], setting: Setting
    ) -> Iterable[tuple[Compiled, Sequence[int]]]:
        """The rules in force that select at least one line, in the order of the file, with their places."""
        every = range(len(lines))
        found: list[tuple[Compiled, Sequence[int]]] = []
        plan = self._plans.get(setting)
        if plan is None:
            plan = self._plan(setting)
        for rule in plan:
            test = rule.line_test
            if test is None:
                found.append((rule, every))
            elif positions := [at for at in every if test(lines[at])]:
                found.append((rule, positions))
        if self._indexed and (touched := self._touched(lines)):
            rules = self._indexes.rules
            for order, positions in touched.items():
                rule = rules[order]
                if rule.shared_test is None or rule.shared_test(setting):
                    found.append((rule, positions))
            found.sort(key=_order)
        return found

    def _plan(self, setting: Setting) -> list[Compiled]:
        if len(self._plans) >= _MOST_PLANS:
            # Channels and stores come from clients: what is remembered needs a bound.
            self._plans.clear()
        plan = [rule for rule in self._indexes.broad if rule.shared_test is None or rule.shared_test(setting)]
        self._plans[setting] = plan
        return plan

    def _touched(self, lines: Sequence[Line]) -> dict[int, list[int]]:
        """Places of the lines that indexed rules select, by the rule's order in the file."""
        touched: dict[int, list[int]] = {}
        skus, categories, tags = self._indexes.sku, self._indexes.category, self._indexes.tag
        if skus:
            for at in [at for at, line in enumerate(lines) if line.sku in skus]:
                _touch(touched, skus[lines[at].sku], lines[at], at)
        if categories:
            for at, line in enumerate(lines):
                if line.category is not None:
                    _touch(touched, categories.get(line.category, ()), line, at)
        if tags:
            for at, line in enumerate(lines):
                for tag in line.tags:
                    _touch(touched, tags.get(tag, ()), line, at)
        return touched


def _touch(touched: dict[int, list[int]], rules: Iterable[Compiled], line: Line, at: int) -> None:
    for rule in rules:
        if rule.line_test is None or rule.line_test(line):
            places = touched.setdefault(rule.order, [])
            # A line with two of a rule's tags is still one line.
            if not places or places[-1] != at:
                places.append(at)


def _order(found: tuple[Compiled, Sequence[int]]) -> int:
    return found[0].order


def _paid_part(facts: Facts) -> tuple[int, int]:
    """The part of every amount that was paid with money, as a fraction in lowest terms."""
    redeemed, basket = facts.redeemed_amount, facts.basket_amount
    if not redeemed:
        return 1, 1
    if redeemed > basket:
        raise ValueError(
            f"{redeemed} redeemed on a basket of {basket}: basket_amount is the sum of all lines"
        )
    common = gcd(basket - redeemed, basket)
    return (basket - redeemed) // common, basket // common


def _spend(rule: Compiled, positions: Sequence[int], bases: list[int], base: int, whole: int) -> Draft:
    """Points of a spend rule on the lines at `positions`; `base` is that of all lines that earn."""
    rate = rule.rate
    if len(positions) < len(bases):
        base = sum([bases[at] for at in positions])
    if rule.per_amount is None:
        return Draft(rule, positions, base * rate, lambda: [bases[at] * rate for at in positions])
    points = base // (rule.per_amount * whole) * rate * whole
    return Draft(
        rule, positions, points, lambda: exact_parts([bases[at] for at in positions], points, base or 1)
    )


def _units(rule: Compiled, positions: Sequence[int], lines: Sequence[Line], whole: int) -> Draft:
    rate = rule.rate * whole
    parts: list[Exact] = []
    for at in positions:
        quantity = lines[at].quantity
        parts.append(quantity * rate if type(quantity) is int else simplest(Fraction(quantity) * rate))
    return Draft(rule, positions, sum(parts), lambda: parts)


def _rounded(rounding: str, total: Exact, scale: int) -> int:
    points = total // scale
    if rounding != "floor":
        twice = 2 * (total - points * scale)
        if twice > scale or (twice == scale and (rounding == "half_up" or points % 2)):
            points += 1
    return points
