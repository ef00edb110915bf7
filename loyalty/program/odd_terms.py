"""Terms that are legal but surely not meant: points worth too much, tiers and amounts that nobody reaches."""

from collections.abc import Sequence
from fractions import Fraction

from loyalty.program.diagnostics import Report, quote
from loyalty.program.meeting import Horizon, same_basket, surely_same_line
from loyalty.program.model import (
    ExpireAfter,
    ExpireInactivity,
    Period,
    Program,
    RedemptionPolicy,
    Rule,
    TierPolicy,
    When,
    WindowRolling,
)
from loyalty.program.odd_rules import Neighbours, Placed, is_dated, worth_of
from loyalty.program.plain import count, money, number, period

_MOST_EVERY_DAY = Fraction(1, 5)
_MOST_ON_A_DAY = Fraction(1, 2)
"""Shares of the spend that points may be worth before somebody should look: retail programs give 1 to 5 %."""
_MOST_TOGETHER = 20
"""Rules that one scenario combines."""


def check_terms(program: Program, report: Report) -> None:
    """Reports on tiers, lives and worth."""
    _ladder(program, report)
    _steps_down(program, report)
    _lives(program, report)
    if program.redemption is not None:
        _least_points(program, program.redemption, report)
        _worth(program, program.redemption, report)
        _bonuses(program, program.redemption, report)


def _ladder(program: Program, report: Report) -> None:
    highest: dict[str, int] = {}
    most_days = _window_days(program.tier_policy)
    for place, tier in enumerate(program.tiers):
        for key in ("spend_amount", "visits"):
            value = getattr(tier.qualify, key, None)
            if value is None:
                continue
            if value <= highest.get(key, 0):
                report.warning(
                    ("tiers", place, "qualify", key),
                    f"{value} is not above the {highest[key]} of a tier before it: the lowest comes first",
                )
            highest[key] = max(value, highest.get(key, 0))
        asked = tier.qualify
        if asked is not None and asked.visits is not None and asked.visits > most_days:
            only = asked.spend_amount is None or asked.need == "all"
            report.warning(
                ("tiers", place, "qualify", "visits"),
                f"the window has at most {most_days} days, and a visit is a day: "
                + ("nobody reaches this tier" if only else "only spend leads to this tier"),
            )


def _window_days(policy: TierPolicy) -> int:
    if not isinstance(policy.window, WindowRolling):
        return 366
    years, months = divmod(policy.window.months, 12)
    return years * 366 + months * 31


def _steps_down(program: Program, report: Report) -> None:
    """A tier that gets less than the one before it."""
    for place, (below, tier) in enumerate(zip(program.tiers, program.tiers[1:], strict=False), start=1):
        discount, before = tier.benefits.discount_percent or 0, below.benefits.discount_percent or 0
        if discount < before:
            report.warning(
                ("tiers", place, "benefits"),
                f"a discount of {discount} % is below the {before} % of {quote(below.id)}, the tier before it",
            )
        lost = [name for name in below.benefits.privileges if name not in tier.benefits.privileges]
        if lost:
            report.warning(
                ("tiers", place, "benefits"),
                f"lacks {', '.join(lost)}, which {quote(below.id)}, the tier before it, has: repeat what stays",
            )
    factors = _lasting_factors(program)
    for below, tier in zip(program.tiers, program.tiers[1:], strict=False):
        less, place = factors[tier.id]
        more, place = factors[below.id]
        if less < more:
            report.warning(
                ("rules", place, "when", "tier"),
                f"{quote(tier.id)} earns x{number(less)} and {quote(below.id)}, the tier before it, x{number(more)}: "
                f"add {quote(tier.id)} here, or give it a multiplier of its own",
            )


def _lasting_factors(program: Program) -> dict[str, tuple[Fraction, int]]:
    """What each tier's points are multiplied by on any day and line, and the place of the largest such rule."""
    found: dict[str, tuple[Fraction, int]] = {}
    for tier in program.tiers:
        factor, largest, place = Fraction(1), Fraction(0), 0
        for at, rule in enumerate(program.rules):
            by_tier = rule.when is not None and rule.when == When(tier=rule.when.tier)
            if rule.kind != "multiplier" or not by_tier or is_dated(rule):
                continue
            if rule.where is not None or rule.limit is not None or rule.when is None:
                continue
            if tier.id in (rule.when.tier or ()):
                factor += worth_of(rule)
                if worth_of(rule) > largest:
                    largest, place = worth_of(rule), at
        found[tier.id] = factor, place
    return found


def _least_days(length: Period) -> int:
    return length.days + length.months * 28 + length.years * 365


def _lives(program: Program, report: Report) -> None:
    points = program.points
    if (
        isinstance(points.expiry, ExpireInactivity)
        and _least_days(points.expiry.period) <= points.pending_days
    ):
        report.warning(
            ("points", "expiry"),
            f"points of a member who rests die after {period(points.expiry.period)}, but can only be spent after "
            f"{count(points.pending_days, 'day')} (pending_days): make their life longer",
        )
    elif isinstance(points.expiry, ExpireAfter) and _least_days(points.expiry.period) < points.pending_days:
        report.warning(
            ("points", "expiry"),
            f"points wait {count(points.pending_days, 'day')} (pending_days) and then live only "
            f"{period(points.expiry.period)}: make their life longer than the wait",
        )


def _least_points(program: Program, policy: RedemptionPolicy, report: Report) -> None:
    least = policy.min_points + -policy.min_points % policy.step_points
    given = [rule for rule in program.rules if rule.kind != "multiplier"]
    most = [_most_of_a_member(rule) for rule in given]
    if given and all(one is not None for one in most) and sum(one or 0 for one in most) < least:
        report.warning(
            ("redemption", "min_points"),
            f"no member can ever have {least:,} points: by their limits all rules together give "
            f"{number(sum((one or Fraction(0) for one in most), Fraction(0)))}",
        )
        return
    top = max(
        (tier.qualify.spend_amount or 0 for tier in program.tiers if tier.qualify is not None), default=0
    )
    if not top:
        return
    basket = Fraction(least * policy.amount, policy.points) / policy.max_basket_share
    if basket > top:
        report.warning(
            ("redemption", "min_points"),
            f"{least:,} points can only be redeemed on a basket of {money(_up(basket), program.currency)}: more than "
            f"the highest tier spends in its window ({money(top, program.currency)})",
        )
    elif (spend := _spend_for(program, least, given)) is not None:
        life = _life_in_windows(program)
        if life is not None and spend > life * top:
            report.warning(
                ("redemption", "min_points"),
                f"{least:,} points take a spend of {money(_up(spend), program.currency)}, which not even the highest "
                "tier reaches before the first of them expire",
            )


def _most_of_a_member(rule: Rule) -> Fraction | None:
    """Points that a rule gives one member in all; None without end."""
    limit = rule.limit
    if limit is None:
        return None
    most = [Fraction(value) for value in (limit.per_member_points, limit.budget_points) if value is not None]
    if limit.per_member is not None and limit.per_purchase_points is not None:
        most.append(Fraction(limit.per_member * limit.per_purchase_points))
    if limit.per_member is not None and rule.kind == "flat" and rule.points is not None:
        most.append(limit.per_member * rule.points)
    return min(most, default=None)


def _spend_for(program: Program, points: int, given: Sequence[Rule]) -> Fraction | None:
    """The spend that earns so many points at most; None where points come from more than plain spend."""
    if any(rule.kind != "spend" or rule.limit is not None for rule in given) or not given:
        return None
    best = sum((worth_of(rule) for rule in given), Fraction(0))
    for rule in program.rules:
        if rule.kind == "multiplier":
            best *= rule.factor or 1
    return points / best


def _life_in_windows(program: Program) -> Fraction | None:
    """How many tier windows points live, generously; None when they live on."""
    expiry, window = program.points.expiry, program.tier_policy.window
    if not isinstance(expiry, ExpireAfter):
        return None
    months = window.months if isinstance(window, WindowRolling) else 12
    rounded = {None: 0, "day": 1, "month": 31, "quarter": 92, "year": 366}[expiry.round_to]
    length = expiry.period
    days = length.days + length.months * 31 + length.years * 366 + rounded
    return Fraction(days, months * 28)


def _up(amount: Fraction) -> int:
    return -(-amount.numerator // amount.denominator)


def _worth(program: Program, policy: RedemptionPolicy, report: Report) -> None:
    """The largest share of the spend that comes back as points, if it is more than anybody would mean."""
    days = Horizon.of(program)
    worth_of_point = Fraction(policy.amount, policy.points)
    earning = [
        (place, rule)
        for place, rule in enumerate(program.rules)
        if rule.kind in ("spend", "multiplier") and not _bounded(rule)
    ]
    lasting = [placed for placed in earning if not is_dated(placed[1])]
    for rules, most, always in ((lasting, _MOST_EVERY_DAY, True), (earning, _MOST_ON_A_DAY, False)):
        share, place, others = max(_scenarios(program, days, rules), default=(Fraction(0), 0, ()))
        share *= worth_of_point
        if share >= most:
            helpers = ", ".join(quote(program.rules[other].id) for other in others)
            whole = 10_000
            report.warning(
                ("rules", place, "points"),
                f"{money(whole, program.currency)} spent "
                + ("earns" if always else "can earn")
                + f" points worth {money(int(whole * share), program.currency)}"
                + (f" together with {helpers}" if helpers else "")
                + (": more than was paid, " if share > 1 else ": ")
                + "lower points or factors, or what a point is worth in [redemption]",
            )
            return


def _bounded(rule: Rule) -> bool:
    limit = rule.limit
    return limit is not None and any(
        value is not None
        for value in (
            limit.per_purchase_points,
            limit.per_member_points,
            limit.budget_points,
            limit.per_member,
        )
    )


def _scenarios(
    program: Program, days: Horizon, rules: Sequence[Placed]
) -> list[tuple[Fraction, int, tuple[int, ...]]]:
    """For each spend rule, with all that can surely help it on some line and day: points for a minor unit."""
    near = Neighbours(sorted(rules, key=lambda placed: -worth_of(placed[1])))
    return [_scenario(program, days, (place, rule), near) for place, rule in rules if rule.kind == "spend"]


def _scenario(
    program: Program, days: Horizon, anchor: Placed, near: Neighbours
) -> tuple[Fraction, int, tuple[int, ...]]:
    chosen = [anchor]
    bits = days.of_rule(anchor[1])
    groups = {anchor[1].group} - {None}
    for place, rule in sorted(near.of(anchor[1].where), key=lambda placed: -worth_of(placed[1])):
        if len(chosen) == _MOST_TOGETHER:
            break
        if rule.group in groups or any(place == other for other, _ in chosen):
            continue
        if not bits & days.of_rule(rule):
            continue
        if all(
            same_basket(rule.when, other.when) and surely_same_line(rule.where, other.where)
            for _, other in chosen
        ):
            chosen.append((place, rule))
            bits &= days.of_rule(rule)
            groups |= {rule.group} - {None}
    rate = sum((worth_of(rule) for _, rule in chosen if rule.kind == "spend"), Fraction(0))
    factor = _factor(program, [rule for _, rule in chosen if rule.kind == "multiplier"])
    return rate * factor, anchor[0], tuple(place for place, _ in chosen[1:])


def _factor(program: Program, multipliers: Sequence[Rule]) -> Fraction:
    gains = [worth_of(rule) for rule in multipliers]
    if program.points.multipliers == "add":
        return 1 + sum(gains, Fraction(0))
    if program.points.multipliers == "best":
        return 1 + max(gains, default=Fraction(0))
    product = Fraction(1)
    for gain in gains:
        product *= 1 + gain
    return product


def _bonuses(program: Program, policy: RedemptionPolicy, report: Report) -> None:
    """Flat bonuses that are worth more than the purchase, or that any purchase gets."""
    for place, rule in enumerate(program.rules):
        if rule.kind != "flat" or rule.points is None or rule.where is not None:
            continue
        when = rule.when or When()
        worth = rule.points * policy.amount / policy.points
        shown = money(int(worth), program.currency)
        if when.min_amount is not None:
            if worth > when.min_amount:
                report.warning(
                    ("rules", place, "points"),
                    f"points worth {shown} for a purchase of {money(when.min_amount, program.currency)}: more than "
                    "was paid, lower points or raise min_amount",
                )
        elif rule.limit is None and not when.first_purchase and when.birthday is None:
            report.warning(
                ("rules", place, "points"),
                f"every purchase gets points worth {shown}, however small it is: add when.min_amount or a limit "
                "such as per_member_day",
            )
