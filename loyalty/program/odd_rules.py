"""Rules that are legal but surely not meant: those that never fire, never win, or pile up."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from itertools import chain

from loyalty.program.diagnostics import Path, Report, nearest, quote
from loyalty.program.meeting import (
    Horizon,
    baskets_within,
    keys_of,
    lines_within,
    same_basket,
    same_line,
    surely_same_line,
)
from loyalty.program.model import Discount, Limit, Program, Rule, Selector
from loyalty.program.plain import listed, number

Placed = tuple[int, Rule]
"""A rule with its place in the file."""

MOST_LOOKS = 100_000
"""Pairs of rules that one check compares: a file with thousands of rules on the same goods is checked in seconds,
and what is left out then is a warning, never a refusal."""


def check_rules(program: Program, report: Report, starts_on: date | None) -> None:
    """Reports on each rule, and on each with the others. `starts_on`: the program's first local day, if known."""
    days = Horizon.of(program)
    bits = [days.of_rule(rule) for rule in program.rules]
    for place, rule in enumerate(program.rules):
        check_fires(program, rule, bits[place], starts_on, ("rules", place), report)
        _limits(rule, ("rules", place), report)
        _pointless(rule, ("rules", place), report)
    if not any(rule.kind != "multiplier" for rule in program.rules):
        report.warning(("rules",), "no rule gives points: add one of kind spend, units or flat")
    else:
        _nothing_to_multiply(program, bits, report)
    _lonely_groups(program, report)
    _losers(program, bits, report)
    if program.points.multipliers != "best":
        _piling_up(program, days, bits, report)


def check_fires(
    program: Program, rule: Rule | Discount, bits: int, starts_on: date | None, path: Path, report: Report
) -> None:
    """Reports on conditions that nothing meets. `bits`: the days on which the rule or discount may be in force."""
    where, when = rule.where, rule.when
    for name in ("sku", "category", "tag"):
        wanted, refused = getattr(where, name, None), getattr(where, f"not_{name}", None)
        if wanted and refused and wanted <= refused:
            report.warning((*path, "where", f"not_{name}"), f"excludes all of {name}: it never fires")
    _excluded(program.points.exclude, where, path, report)
    if not bits:
        report.warning((*path, "when"), "no day within its dates meets all of this: it never fires")
    lowest = program.tiers[0].id
    if when is not None and when.first_purchase and when.tier is not None and lowest not in when.tier:
        report.warning(
            (*path, "when", "tier"),
            f"a first purchase is made in the tier {quote(lowest)}: only members who were brought along with a "
            "higher one meet both",
        )
    if starts_on is not None and rule.until_on is not None and rule.until_on <= starts_on:
        report.warning(
            (*path, "until"),
            f"over since {rule.until_on}: only purchases from before then can still meet it, take it out",
        )


def _excluded(exclude: Selector | None, where: Selector | None, path: Path, report: Report) -> None:
    if exclude is None:
        return
    if lines_within(where, exclude):
        report.warning(
            (*path, "where"),
            "points.exclude takes out all of its lines: it never fires, change one of the two",
        )
        return
    for name in ("sku", "category"):
        shared = (getattr(where, name, None) or frozenset()) & (getattr(exclude, name) or frozenset())
        named = Selector(sku=shared) if name == "sku" else Selector(category=shared)
        if shared and lines_within(named, exclude):
            report.warning(
                (*path, "where", name),
                f"points.exclude takes out {listed(shared)}: it earns nothing here either",
            )


def _limits(rule: Rule, path: Path, report: Report) -> None:
    limit, when = rule.limit, rule.when
    if limit is not None and limit.budget_points is not None and rule.until_on is None:
        report.warning((*path, "limit", "budget_points"), "a budget without until: it may run dry on any day")
    if limit is not None and rule.kind in ("flat", "event") and rule.points is not None:
        for key in ("per_purchase_points", "per_member_points", "budget_points"):
            most = getattr(limit, key)
            if most is not None and most < rule.points:
                report.warning(
                    (*path, "limit", key),
                    f"{most} is below the {number(rule.points)} points of the rule: nobody ever gets them whole",
                )
            elif key == "per_purchase_points" and most is not None:
                report.warning(
                    (*path, "limit", key),
                    f"{most} is never reached: the rule gives {number(rule.points)} points once, take it out",
                )
    if rule.kind == "event":
        if not _by_member(limit):
            report.warning(
                (*path, "points"),
                "every such event gets it, however many a member brings: add a limit such as "
                "limit = { per_member_day = 1 }",
            )
        return
    if when is None or when.birthday is None or limit is not None:
        return
    if rule.kind == "multiplier" and when.birthday == "day":
        return
    report.warning(
        (*path, "when", "birthday"),
        f"every purchase of the birthday's {when.birthday} gets it: add a limit, "
        "such as limit = { per_member_day = 1 } or { per_purchase_points = 500 }",
    )


def _by_member(limit: Limit | None) -> bool:
    """Whether there is an end to what one member can have of a rule."""
    return limit is not None and (limit.per_member, limit.per_member_day, limit.per_member_points) != (
        None, None, None,
    )  # fmt: skip


def _pointless(rule: Rule, path: Path, report: Report) -> None:
    if rule.factor == 1:
        report.warning((*path, "factor"), "1 changes nothing: a factor of 2 doubles")
    if rule.where == Selector():
        report.warning((*path, "where"), "selects every line, as without where")


def _placed(program: Program, kind: str) -> list[Placed]:
    return [(place, rule) for place, rule in enumerate(program.rules) if rule.kind == kind]


def _nothing_to_multiply(program: Program, bits: Sequence[int], report: Report) -> None:
    spending = _placed(program, "spend")
    by_sku: dict[str, list[Placed]] = defaultdict(list)
    others: list[Placed] = []
    for placed in spending:
        skus = placed[1].where and placed[1].where.sku
        for sku in skus or ():
            by_sku[sku].append(placed)
        if not skus:
            others.append(placed)
    looks = iter(range(MOST_LOOKS))
    for place, rule in _placed(program, "multiplier"):
        if not bits[place] or not same_line(rule.where, None):
            continue
        skus = None if rule.where is None else rule.where.sku
        near: Iterable[Placed] = (
            chain(others, *(by_sku[sku] for sku in skus)) if skus is not None else spending
        )
        if not any(
            next(looks, None) is None
            or (
                bits[place] & bits[at]
                and same_basket(rule.when, spend.when)
                and same_line(rule.where, spend.where)
                and (rule.group is None or rule.group != spend.group)
            )
            for at, spend in near
        ):
            report.warning(
                ("rules", place, "kind"),
                "no spend rule has points that it could multiply"
                if not spending
                else "no spend rule gives points on its lines and days: it has nothing to multiply",
            )


def _lonely_groups(program: Program, report: Report) -> None:
    sizes: dict[tuple[str, bool], int] = defaultdict(int)
    for rule in program.rules:
        if rule.group is not None:
            sizes[rule.group, rule.kind == "event"] += 1
    for place, rule in enumerate(program.rules):
        # An event and a purchase never meet.
        if rule.group is not None and sizes[rule.group, rule.kind == "event"] == 1:
            others = tuple(dict.fromkeys(other for other, _ in sizes if other != rule.group))
            hint = nearest(rule.group, others) if others else "give the others the same group, or take it out"
            report.warning(
                ("rules", place, "group"), f"{quote(rule.group)} has no other rule to exclude: {hint}"
            )


def _losers(program: Program, bits: Sequence[int], report: Report) -> None:
    """Rules that another one of their group always beats; with multipliers = "best", a multiplier alone too."""
    rivals: dict[str | None, list[Placed]] = defaultdict(list)
    for place, rule in enumerate(program.rules):
        if rule.group is not None or (rule.kind == "multiplier" and program.points.multipliers == "best"):
            rivals[rule.group].append((place, rule))
    for group, members in rivals.items():
        near = Neighbours(members)
        for place, rule in members:
            winner = next(
                (
                    other
                    for at, other in near.of(rule.where)
                    if at != place
                    and bits[place]
                    and _beats(other, rule, at < place)
                    and not bits[place] & ~bits[at]
                ),
                None,
            )
            if winner is not None:
                report.warning(
                    ("rules", place, "factor" if group is None else "group"),
                    f"{quote(winner.id)} is in force whenever this is, and worth no less: this one never counts, "
                    "take it out or give it a case of its own",
                )


def _beats(winner: Rule, loser: Rule, earlier: bool) -> bool:
    """Whether `winner` is worth no less wherever `loser` gives anything; equals go to the earlier."""
    if winner.kind != loser.kind or winner.limit is not None:
        return False
    if winner.whole_steps and not (loser.whole_steps and winner.per_amount == loser.per_amount):
        return False
    more, less = worth_of(winner), worth_of(loser)
    return (
        (less < more or (less == more and earlier))
        and (loser.types or frozenset()) <= (winner.types or frozenset())
        and baskets_within(loser.when, winner.when)
        and lines_within(loser.where, winner.where)
    )


def worth_of(rule: Rule) -> Fraction:
    """What a rule gives for a minor unit, a unit, a purchase or a point, as its kind has it."""
    if rule.kind == "multiplier":
        return (rule.factor or Fraction(1)) - 1
    return (rule.points or Fraction(0)) / (rule.per_amount or 1)


class Neighbours:
    """Finds the rules that surely share a line with another: those that name the same thing, or nothing.

    It finds no more once it has been looked at `MOST_LOOKS` times.
    """

    def __init__(self, rules: Iterable[Placed]) -> None:
        self.everywhere: list[Placed] = []
        self.all: list[Placed] = []
        self._looks = MOST_LOOKS
        self._named: dict[tuple[str, str], list[Placed]] = defaultdict(list)
        for placed in rules:
            self.all.append(placed)
            keys = list(keys_of(placed[1].where))
            for key in keys:
                self._named[key].append(placed)
            if not keys:
                self.everywhere.append(placed)

    def of(self, where: Selector | None) -> Iterable[Placed]:
        """In no order, and some perhaps twice."""
        keys = list(keys_of(where))
        found = [self.everywhere, *(self._named[key] for key in keys)] if keys else [self.all]
        for placed in chain.from_iterable(found):
            if self._looks == 0:
                return
            self._looks -= 1
            yield placed


def is_dated(rule: Rule) -> bool:
    """Whether the rule is for some days only."""
    when = rule.when
    parts = (when.weekday, when.day_of_month, when.month_day) if when is not None else ()
    return any(part is not None for part in (rule.from_on, rule.until_on, *parts))


def _piling_up(program: Program, days: Horizon, bits: Sequence[int], report: Report) -> None:
    """Two multipliers for some days only that meet on a day and a line, and are in no group together."""
    dated = [
        placed for placed in _placed(program, "multiplier") if is_dated(placed[1]) and placed[1].factor != 1
    ]
    near = Neighbours(dated)
    for place, rule in dated:
        everywhere = not list(keys_of(rule.where))
        met: list[Placed] = []
        for at, other in near.of(rule.where):
            # Of two, the one that is told is the wider; of equals, the later.
            wider = everywhere and bool(list(keys_of(other.where)))
            equal = everywhere != bool(list(keys_of(other.where)))
            if (wider or (equal and at < place)) and _pile_up(rule, other, bits[place] & bits[at]):
                met.append((at, other))
                if not everywhere:
                    break
        if met:
            at, other = min(met)
            common = bits[place] & bits[at]
            if rule.from_on or other.from_on:
                on = f"on {days.day(common)}"
            elif rule.until_on or other.until_on:
                on = f"on {days.day(common, last=True)}"
            else:
                on = "there are days on which"  # the first would be one of long ago
            more = f" (and {len(met) - 1:,} more)" if len(met) > 1 else ""
            together = _together(program, rule, other)
            report.warning(
                ("rules", place, "factor"),
                f"{on} this and {quote(other.id)}{more} give x{number(together)} on the same lines: "
                "put both in one group if only one of them is meant",
            )


def _pile_up(rule: Rule, other: Rule, common: int) -> bool:
    return bool(
        common
        and (rule.group is None or rule.group != other.group)
        and same_basket(rule.when, other.when)
        and surely_same_line(rule.where, other.where)
    )


def _together(program: Program, rule: Rule, other: Rule) -> Fraction:
    one, two = rule.factor or Fraction(1), other.factor or Fraction(1)
    return one * two if program.points.multipliers == "compound" else one + two - 1
