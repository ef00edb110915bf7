"""Discounts that are legal but surely not meant: those that nobody gets, and those that give the goods away."""

from datetime import date
from fractions import Fraction

from loyalty.program.diagnostics import Report, quote
from loyalty.program.meeting import Horizon, baskets_within, keys_of, lines_within
from loyalty.program.model import Discount, Program, Selector
from loyalty.program.odd_rules import MOST_LOOKS, check_fires
from loyalty.program.plain import number

_MUCH = 50
"""Percent off that somebody should look at when it is on everything."""


def check_discounts(program: Program, report: Report, starts_on: date | None) -> None:
    """Reports on each discount, and on each beside the others. `starts_on`: the program's first local day, if known."""
    days = Horizon.of(program)
    bits = [days.of_rule(discount) for discount in program.discounts]
    looks = iter(range(MOST_LOOKS))
    for place, discount in enumerate(program.discounts):
        path = ("discounts", place)
        check_fires(program, discount, bits[place], starts_on, path, report)
        if discount.where == Selector():
            report.warning((*path, "where"), "selects every line, as without where")
        if discount.percent > _MUCH and not list(keys_of(discount.where)):
            report.warning(
                (*path, "percent"),
                f"{number(Fraction(discount.percent))} % off everything: choose lines with where",
            )
        below = _tiers_below(program, discount)
        if not below:
            report.warning(
                (*path, "percent"),
                f"{number(Fraction(discount.percent))} % is not above what the tiers have anyway (discount_percent): "
                "of several discounts the highest counts, they do not add up",
            )
        winner = next(
            (
                other
                for at, other in enumerate(program.discounts)
                if at != place
                and next(looks, None) is not None
                and (other.percent, -at) > (discount.percent, -place)
                and bits[place]
                and not bits[place] & ~bits[at]
                and baskets_within(discount.when, other.when)
                and lines_within(discount.where, other.where)
            ),
            None,
        )
        if winner is not None:
            report.warning(
                (*path, "percent"),
                f"{quote(winner.id)} is in force whenever this is, and takes off no less: this one never counts, "
                "take it out or give it a case of its own",
            )


def _tiers_below(program: Program, discount: Discount) -> list[str]:
    """The tiers of the discount whose own is lower."""
    wanted = discount.when.tier if discount.when is not None else None
    return [
        tier.id
        for tier in program.tiers
        if (wanted is None or tier.id in wanted) and (tier.benefits.discount_percent or 0) < discount.percent
    ]
