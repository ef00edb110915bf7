"""How rules combine: limits, groups, and the three ways of multiplying (DESIGN.md section 4, Stacking).

Points here are scaled: integers, or Fractions where integers do not do, over the award's common scale.
"""

from collections.abc import Iterable, Sequence

from loyalty.rules import notes
from loyalty.rules.compiled import Compiled
from loyalty.rules.exact import Exact, exact_div, scaled_text
from loyalty.rules.facts import Facts, used_before


class Draft:
    """What one rule would give: `parts` in scaled points on the lines at `positions`; a flat has none."""

    __slots__ = ("note", "parts", "positions", "rule", "total")

    def __init__(self, rule: Compiled, positions: Sequence[int], parts: list[Exact]) -> None:
        self.rule = rule
        self.positions = positions
        self.parts = parts
        self.total: Exact = sum(parts)
        self.note: str | None = None


def trim(draft: Draft, facts: Facts, scale: int) -> Draft:
    """Holds a draft to its rule's limits. What is trimmed is whole points, spread as the rule wanted them."""
    if draft.rule.limit is None:
        return draft
    cap, by = _cap(draft.rule, facts)
    if cap is None or draft.total <= cap * scale:
        return draft
    draft.note = notes.limited(by, scaled_text(draft.total, scale), cap)
    wanted, given = draft.total, cap * scale
    draft.parts = [exact_div(part * given, wanted) for part in draft.parts]
    draft.total = given
    return draft


def exhausted(rule: Compiled, facts: Facts) -> bool:
    """Whether limits leave the rule nothing at all to give."""
    return rule.limit is not None and _cap(rule, facts)[0] == 0


def _cap(rule: Compiled, facts: Facts) -> tuple[int | None, str]:
    """The tightest of a rule's limits in whole points, and its name; the first of equals."""
    limit = rule.limit
    if limit is None:
        return None, ""
    used = used_before(facts, rule.id)
    caps: list[tuple[int, str]] = []
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
        spend = spend_by_line(kept, lines)
        rivals = [draft for draft in drafts if draft.rule.group == group]
        for rule, positions in multipliers:
            if rule.group == group:
                gains = [_gain(rule, spend[at]) for at in positions]
                rivals.append(trim(Draft(rule, positions, gains), facts, scale))
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


def spend_by_line(drafts: list[Draft], lines: int) -> list[Exact]:
    """Scaled points of the spend rules on each line: what multipliers multiply."""
    spending = [draft for draft in drafts if draft.rule.kind == "spend"]
    if len(spending) == 1 and len(spending[0].parts) == lines:
        return list(spending[0].parts)
    spend: list[Exact] = [0] * lines
    for draft in spending:
        for at, part in zip(draft.positions, draft.parts, strict=True):
            spend[at] += part
    return spend


def multiply(
    mode: str, multipliers: list[Selected], spend: list[Exact], facts: Facts, scale: int
) -> list[Draft]:
    """The gains of all multipliers on the spend points of their lines, as the program combines them."""
    if mode == "best" and len(multipliers) > 1:
        multipliers = _best_on_each_line(multipliers, facts)
    drafts: list[Draft] = []
    compound = mode == "compound" and len(multipliers) > 1
    for rule, positions in multipliers:
        gain, per = rule.gain, rule.gain_per
        gains: list[Exact]
        if per == 1:
            gains = [spend[at] * gain for at in positions]
        else:
            gains = [exact_div(spend[at] * gain, per) for at in positions]
        draft = trim(Draft(rule, positions, gains), facts, scale)
        if compound:
            # The next one multiplies what this one really gave.
            for at, part in zip(positions, draft.parts, strict=True):
                spend[at] += part
        drafts.append(draft)
    return drafts


def _gain(rule: Compiled, spend: Exact) -> Exact:
    return exact_div(spend * rule.gain, rule.gain_per)


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
