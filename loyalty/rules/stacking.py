"""How rules combine: limits, groups, and the three ways of multiplying (DESIGN.md section 4, Stacking).

Points here are scaled: integers, or Fractions where integers do not do, over the award's common scale. What a rule
gives in all is known at once; what it gives on each line is worked out when somebody asks, which a backtest never does.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from loyalty.rules import notes
from loyalty.rules.compiled import Compiled
from loyalty.rules.exact import Exact, exact_div, exact_parts, scaled_text
from loyalty.rules.facts import Facts, Used, used_before


class Draft(Struct):
    """What one rule would give: `total` in scaled points, `parts` of it on the lines at `positions`; a flat has none.

    split: makes the parts; None where the total is the only one. note: why it gives less than it asked for. made: the
    parts, once somebody asked.
    """

    rule: Compiled
    positions: Sequence[int]
    total: Exact
    split: Callable[[], list[Exact]] | None = None
    note: str | None = None
    made: list[Exact] | None = None

    @property
    def parts(self) -> list[Exact]:
        if self.made is None:
            self.made = [self.total] if self.split is None else self.split()
        return self.made

    def cut(self, given: int, note: str) -> None:
        """Leaves `given` of the total, spread as the rule wanted it."""
        wanted, split = self.total, self.split
        if split is not None:
            self.split = lambda: exact_parts(split(), given, wanted)
        self.total = given
        self.note = note


class Spend:
    """Scaled points of the spend rules: what multipliers multiply."""

    __slots__ = ("_by_line", "_drafts", "_lines", "total")

    def __init__(self, drafts: Iterable[Draft], lines: int) -> None:
        self._drafts = [draft for draft in drafts if draft.rule.kind == "spend"]
        self._lines = lines
        self._by_line: list[Exact] | None = None
        self.total: Exact = sum([draft.total for draft in self._drafts])

    def multiplied(self, rule: Compiled, positions: Sequence[int]) -> Draft:
        """What a multiplier gains on the lines at `positions`."""
        gain, per = rule.gain, rule.gain_per
        everywhere = len(positions) == self._lines
        points = self.total if everywhere else sum([self.by_line[at] for at in positions])

        def split() -> list[Exact]:
            by_line = self.by_line
            return exact_parts(by_line if everywhere else [by_line[at] for at in positions], gain, per)

        return Draft(rule, positions, exact_div(points * gain, per), split)

    @property
    def by_line(self) -> list[Exact]:
        """The points on each line."""
        if self._by_line is None:
            self._by_line = [0] * self._lines
            for draft in self._drafts:
                _spread(draft, self._by_line)
        return self._by_line

    def grow(self, draft: Draft) -> None:
        """Adds what the last multiplier really gave, for the next one to multiply."""
        _spread(draft, self.by_line)
        self.total += draft.total


def _spread(draft: Draft, by_line: list[Exact]) -> None:
    for at, part in zip(draft.positions, draft.parts, strict=True):
        by_line[at] += part


def trim(draft: Draft, facts: Facts, scale: int) -> Draft:
    """Holds a draft to its rule's limits. What is trimmed is whole points, spread as the rule wanted them."""
    if draft.rule.limit is None:
        return draft
    cap, by = _cap(draft.rule, facts)
    if cap is None or draft.total <= cap * scale:
        return draft
    draft.cut(cap * scale, notes.limited(by, scaled_text(draft.total, scale), cap))
    return draft


def exhausted(rule: Compiled, facts: Facts) -> bool:
    """Whether limits leave the rule nothing at all to give."""
    return rule.limit is not None and _cap(rule, facts)[0] == 0


def _cap(rule: Compiled, facts: Facts) -> tuple[int | None, str]:
    """The tightest of a rule's limits in whole points, and its name; the first of equals."""
    limit = rule.limit
    if limit is None:
        return None, ""
    caps: list[tuple[int, str]] = []
    used = used_before(facts, rule.id) if rule.counted else Used()
    if limit.per_member is not None and used.times >= limit.per_member:
        caps.append((0, "per_member"))
    if limit.per_member_day is not None and used.times_day >= limit.per_member_day:
        caps.append((0, "per_member_day"))
    if limit.per_purchase_points is not None:
        caps.append((limit.per_purchase_points, "per_purchase_points"))
    if limit.per_member_points is not None:
        caps.append((max(0, limit.per_member_points - used.points), "per_member_points"))
    if limit.budget_points is not None:
        left = limit.budget_points if used.budget_left is None else used.budget_left
        caps.append((max(0, left), "budget_points"))
    return min(caps, key=lambda cap: cap[0]) if caps else (None, "")


Selected = tuple[Compiled, Sequence[int]]
"""A multiplier with the positions of the lines that it selects."""


def exclude_within_groups(
    drafts: list[Draft], multipliers: list[Selected], lines: int, facts: Facts, scale: int
) -> tuple[list[Draft], list[Selected]]:
    """Of each group only the rule worth most by itself, after limits, stays; of equals the first in the file.

    What a multiplier is worth by itself depends on the spend points that stay. So groups without multipliers
    are settled first, then those with, by their first rule in the file; spend rules of groups that are not
    settled yet, its own included, count for nothing.
    """
    mixed = {rule.group for rule, _ in multipliers if rule.group is not None}
    plain = {draft.rule.group for draft in drafts if draft.rule.group is not None} - mixed
    kept = [draft for draft in drafts if draft.rule.group is None]
    kept += [_worth_most(draft for draft in drafts if draft.rule.group == group) for group in plain]
    selected = [one for one in multipliers if one[0].group is None]
    for group in sorted(mixed, key=lambda name: _first(name, drafts, multipliers)):
        spend = Spend(kept, lines)
        rivals = [draft for draft in drafts if draft.rule.group == group]
        for rule, positions in multipliers:
            if rule.group == group:
                rivals.append(trim(spend.multiplied(rule, positions), facts, scale))
        best = _worth_most(rivals)
        if best.rule.kind == "multiplier":
            selected.append((best.rule, best.positions))
        else:
            kept.append(best)
    kept.sort(key=lambda draft: draft.rule.order)
    selected.sort(key=lambda one: one[0].order)
    return kept, selected


def _worth_most(drafts: Iterable[Draft]) -> Draft:
    return max(drafts, key=lambda draft: (draft.total, -draft.rule.order))


def _first(group: str | None, drafts: list[Draft], multipliers: list[Selected]) -> int:
    orders = [draft.rule.order for draft in drafts if draft.rule.group == group]
    return min(orders + [rule.order for rule, _ in multipliers if rule.group == group])


def multiply(mode: str, multipliers: list[Selected], spend: Spend, facts: Facts, scale: int) -> list[Draft]:
    """The gains of all multipliers on the spend points of their lines, as the program combines them."""
    if mode == "best" and len(multipliers) > 1:
        multipliers = _best_on_each_line(multipliers, facts)
    drafts: list[Draft] = []
    for rule, positions in multipliers:
        draft = trim(spend.multiplied(rule, positions), facts, scale)
        if mode == "compound":
            spend.grow(draft)
        drafts.append(draft)
    return drafts


def _best_on_each_line(multipliers: list[Selected], facts: Facts) -> list[Selected]:
    """Leaves each line to its highest factor. A rule whose limits are used up stands in nobody's way."""
    best: dict[int, Compiled] = {}
    spent = {rule.id for rule, _ in multipliers if exhausted(rule, facts)}
    for rule, positions in multipliers:
        for at in positions:
            rival = best.get(at)
            if rule.id not in spent and (
                rival is None or rule.gain * rival.gain_per > rival.gain * rule.gain_per
            ):
                best[at] = rule
    # The used-up rule keeps its lines: it gives nothing there, and the explanation can say so.
    return [
        (rule, [at for at in positions if rule.id in spent or best.get(at) is rule])
        for rule, positions in multipliers
    ]
