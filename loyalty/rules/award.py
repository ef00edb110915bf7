"""What a basket earned, and which rule gave what on which line."""

from msgspec import Struct

from loyalty.rules.exact import Exact, exact_div, scaled_text


class Share(Struct, frozen=True, gc=False):
    """Points of one rule on one line, exactly `scaled / scale`; `line` is None for a flat bonus."""

    rule: str
    line: int | None
    scaled: Exact
    scale: int
    note: str | None = None

    @property
    def points(self) -> Exact:
        return exact_div(self.scaled, self.scale)


class Award(Struct, frozen=True):
    """The judgement on one basket. Its shares add up to `total`; `points` is `total` after the one rounding.

    metric_amount: the earning base, floored once: what tiers count as spend.
    charges: by rule with limits or a budget, what this purchase uses of them: times and whole points.
    consulted: the rules whose `Facts.used` this judgement looked at; facts to be recorded need no others.
    """

    points: int
    shares: list[Share]
    scaled_total: Exact
    scale: int
    scaled_base: int
    base_scale: int
    metric_amount: int
    charges: dict[str, tuple[int, int]]
    consulted: tuple[str, ...] = ()

    @property
    def total(self) -> Exact:
        """Points before rounding."""
        return exact_div(self.scaled_total, self.scale)

    @property
    def rounding(self) -> Exact:
        """What rounding dropped: `total - points`; below zero where it rounded up."""
        return exact_div(self.scaled_total - self.points * self.scale, self.scale)

    @property
    def base_amount(self) -> Exact:
        """The earning base in minor units: paid with money, on lines that are not excluded."""
        return exact_div(self.scaled_base, self.base_scale)


class Explained(Struct, frozen=True, omit_defaults=True, gc=False):
    """One row of a receipt's `explain` (DESIGN.md section 7)."""

    rule: str
    points: str
    line: int | None = None
    note: str | None = None


def explain(award: Award) -> list[Explained]:
    """The shares of an award as texts: spend and units in the file's order, multipliers, flat bonuses."""
    return [
        Explained(share.rule, scaled_text(share.scaled, share.scale), share.line, share.note)
        for share in award.shares
    ]


def rounding_text(award: Award) -> str:
    """A receipt's `rounding`: what was dropped, exactly."""
    return scaled_text(award.scaled_total - award.points * award.scale, award.scale)
