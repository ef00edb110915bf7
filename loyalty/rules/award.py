"""What a basket earned, and which rule gave what on which line."""

from collections.abc import Sequence

from msgspec import Struct

from loyalty.rules.exact import Exact, exact_div, scaled_text, texts_over
from loyalty.rules.facts import Line
from loyalty.rules.stacking import Draft


class Award(Struct, frozen=True):
    """The judgement on one basket. Its drafts add up to `total`; `points` is `total` after the one rounding.

    drafts: what each rule gives, over `scale`, limits applied: spend and units in the file's order, multipliers, flat
        bonuses; their places are those of `lines`, the lines that earn.
    metric_amount: the earning base, floored once: what tiers count as spend.
    charges: by rule with limits or a budget, what this purchase uses of them: times and whole points.
    """

    points: int
    drafts: Sequence[Draft]
    lines: Sequence[Line]
    scaled_total: Exact
    scale: int
    scaled_base: int
    base_scale: int
    metric_amount: int
    charges: dict[str, tuple[int, int]]

    @property
    def total(self) -> Exact:
        """Points before rounding."""
        return exact_div(self.scaled_total, self.scale)

    @property
    def by_rule(self) -> dict[str, Exact]:
        """Scaled points of each rule that gives any."""
        return {draft.rule.id: draft.total for draft in self.drafts if draft.total}

    @property
    def rounding(self) -> Exact:
        """What rounding dropped: `total - points`; below zero where it rounded up."""
        return exact_div(self.scaled_total - self.points * self.scale, self.scale)

    @property
    def base_amount(self) -> Exact:
        """The earning base in minor units: paid with money, on lines that are not excluded."""
        return exact_div(self.scaled_base, self.base_scale)


class Explained(Struct, frozen=True, omit_defaults=True, gc=False):
    """One row of a receipt's `explain` (DESIGN.md section 7): points of one rule on one line, exactly, as text.

    `line` is None for a flat bonus.
    """

    rule: str
    points: str
    line: int | None = None
    note: str | None = None


def explain(award: Award) -> list[Explained]:
    """One row for each rule and line that it gives points on; a trimmed rule says so on its first."""
    rows: list[Explained] = []
    numbers = [line.line for line in award.lines]
    texts = texts_over(award.scale)
    for draft in award.drafts:
        if not draft.total and draft.note is None:
            continue
        name, positions = draft.rule.id, draft.positions
        if not positions:
            places: list[int | None] = [None]
        elif len(positions) == len(numbers):
            places = numbers
        else:
            places = [numbers[at] for at in positions]
        given = [
            Explained(name, texts[part], place)
            for place, part in zip(places, draft.parts, strict=True)
            if part
        ]
        if draft.note is not None:
            first, *rest = given or [Explained(name, "0")]
            given = [Explained(name, first.points, first.line, draft.note), *rest]
        rows += given
    return rows


def rounding_text(award: Award) -> str:
    """A receipt's `rounding`: what was dropped, exactly."""
    return scaled_text(award.scaled_total - award.points * award.scale, award.scale)
