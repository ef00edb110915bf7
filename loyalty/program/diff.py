"""What a new version of the program changes, in plain words: for those who decide, and for the record."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from loyalty.program import plain
from loyalty.program.model import (
    Benefits,
    Discount,
    PointsPolicy,
    Program,
    RedemptionPolicy,
    Rule,
    Selector,
    Tier,
    TierPolicy,
    WindowRolling,
)


def diff(old: Program, new: Program) -> list[str]:
    """One sentence for each change, in the order of the file. Empty when both say the same.

    Amounts are shown in the currency of their version.
    """
    return [
        *_head(old, new),
        *_points(old.points, new.points),
        *_redemption(old, new),
        *_tiers(old, new),
        *_tier_policy(old.tier_policy, new.tier_policy),
        *_rules(old, new),
        *_discounts(old, new),
    ]


def _head(old: Program, new: Program) -> Iterator[str]:
    if new.name != old.name:
        yield f"the program is called {new.name} instead of {old.name}"
    if new.currency != old.currency:
        yield f"amounts are in {new.currency} instead of {old.currency}"
    if new.time_zone.key != old.time_zone.key:
        yield f"local days are those of {new.time_zone.key} instead of {old.time_zone.key}"


def _days(days: int) -> str:
    return f"after {plain.count(days, 'day')}" if days else "at once"


def _grace(days: int) -> str:
    return plain.count(days, "more day")


_ROUNDING = {"floor": "down", "half_up": "half up", "half_even": "half to even"}
_SHORTFALL = {"debt": "owed", "forgive": "forgiven"}
_UNLINKED = {"base": "judged by the base rules", "refuse": "refused"}
_MULTIPLIERS = {
    "add": "added (x2 and x1.5 give x2.5)",
    "compound": "multiplied (x2 and x1.5 give x3)",
    "best": "left to the highest (x2 and x1.5 give x2)",
}
_Said = tuple[str, str, Callable[[Any], str]]
_POINTS: tuple[_Said, ...] = (
    ("rounding", "a purchase's points are rounded", lambda value: _ROUNDING[value]),
    ("pending_days", "earned points can be spent", _days),
    ("expiry", "points expire", plain.expiry),
    ("late_grace_days", "points of late purchases whose life is over get", _grace),
    ("restore_grace_days", "points given back whose life is over get", _grace),
    ("shortfall", "what a return cannot take back is", lambda value: _SHORTFALL[value]),
    ("unlinked_returns", "returns without a known purchase are", lambda value: _UNLINKED[value]),
    ("multipliers", "several multipliers on a line are", lambda value: _MULTIPLIERS[value]),
)
_DOWNGRADE = {
    "one_step": "one step down",
    "to_qualified": "to the tier he qualifies for",
    "never": "not at all",
}
_ON_RETURN = {"review": "at its next verdict", "immediate": "at once"}
_POLICY: tuple[_Said, ...] = (
    ("window", "spend and visits count over", lambda value: _window(value)),
    ("validity_months", "a tier is held", lambda value: plain.count(value, "month")),
    ("downgrade", "who no longer qualifies is moved", lambda value: _DOWNGRADE[value]),
    ("grace_days", "the verdict on a tier comes", _days),
    ("on_return", "a tier built on goods that come back is judged", lambda value: _ON_RETURN[value]),
)


def _window(window: Any) -> str:
    return plain.count(window.months, "month") if isinstance(window, WindowRolling) else "the calendar year"


def _said(told: tuple[_Said, ...], old: Any, new: Any) -> Iterator[str]:
    for key, subject, words in told:
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            yield f"{subject} {words(after)} instead of {words(before)}"


def _points(old: PointsPolicy, new: PointsPolicy) -> Iterator[str]:
    yield from _said(_POINTS, old, new)
    for change in _lines(old.exclude, new.exclude):
        yield f"lines that earn nothing: {change}"


def _redemption(old: Program, new: Program) -> Iterator[str]:
    before, after = old.redemption, new.redemption
    if before == after:
        return
    if after is None:
        yield "points can no longer be redeemed"
        return
    if before is None:
        yield f"points can be redeemed: {_worth(after, new.currency)}"
        before = RedemptionPolicy(after.points, after.amount)
    elif _worth(after, new.currency) != _worth(before, old.currency):
        yield f"{_worth(after, new.currency)} instead of {_worth(before, old.currency)}"
    if after.min_points != before.min_points:
        yield f"at least {plain.count(after.min_points, 'point')} can be redeemed instead of {before.min_points:,}"
    if after.step_points != before.step_points:
        yield f"points are redeemed in steps of {after.step_points:,} instead of {before.step_points:,}"
    if after.max_basket_share != before.max_basket_share:
        yield (
            f"points can pay {plain.number(after.max_basket_share * 100)} % of a basket "
            f"instead of {plain.number(before.max_basket_share * 100)} %"
        )


def _worth(policy: RedemptionPolicy, currency: str) -> str:
    worth = "is" if policy.points == 1 else "are"
    return f"{plain.count(policy.points, 'point')} {worth} worth {plain.money(policy.amount, currency)}"


def _tiers(old: Program, new: Program) -> Iterator[str]:
    before = {tier.id: tier for tier in old.tiers}
    after = {tier.id: tier for tier in new.tiers}
    for name in before:
        if name not in after:
            yield f"tier {name} is gone"
    for number, (name, tier) in enumerate(after.items()):
        if name not in before:
            place = f"above {new.tiers[number - 1].id}" if number else "the lowest"
            yield f"tier {name} is new, {place}: it needs {plain.qualify(tier.qualify, new.currency)}"
            yield from _benefits(name, Benefits(), tier.benefits)
        else:
            yield from _tier(before[name], tier, old.currency, new.currency)
    kept = [name for name in after if name in before]
    if kept != [name for name in before if name in after]:
        yield "the tiers are, from the lowest: " + ", ".join(after)


def _tier(old: Tier, new: Tier, old_currency: str, new_currency: str) -> Iterator[str]:
    if new.qualify != old.qualify:
        asks, asked = plain.qualify(new.qualify, new_currency), plain.qualify(old.qualify, old_currency)
        if asks != asked:
            yield f"{new.id} now needs {asks} instead of {asked}"
    yield from _benefits(new.id, old.benefits, new.benefits)


def _benefits(name: str, old: Benefits, new: Benefits) -> Iterator[str]:
    if new.discount_percent != old.discount_percent:
        if new.discount_percent is None:
            yield f"{name} no longer gets a discount of {old.discount_percent} %"
        else:
            before = "" if old.discount_percent is None else f" instead of {old.discount_percent} %"
            yield f"{name} now gets a discount of {new.discount_percent} %{before}"
    if gained := [one for one in new.privileges if one not in old.privileges]:
        yield f"{name} now gets {', '.join(gained)}"
    if lost := [one for one in old.privileges if one not in new.privileges]:
        yield f"{name} no longer gets {', '.join(lost)}"


def _tier_policy(old: TierPolicy, new: TierPolicy) -> Iterator[str]:
    yield from _said(_POLICY, old, new)


def _rules(old: Program, new: Program) -> Iterator[str]:
    before = {rule.id: rule for rule in old.rules}
    after = {rule.id: rule for rule in new.rules}
    for name in before:
        if name not in after:
            yield f"rule {name} is gone"
    for name, rule in after.items():
        if name not in before:
            yield f"rule {name} is new: {plain.rule(rule, new.currency)}"
        elif rule != before[name]:
            for change in _rule(before[name], rule, old.currency, new.currency):
                yield f"rule {name}: {change}"
    if [name for name in after if name in before] != [name for name in before if name in after]:
        yield "the rules stand in another order, by which limits trim and ties are decided"


def _discounts(old: Program, new: Program) -> Iterator[str]:
    before = {discount.id: discount for discount in old.discounts}
    after = {discount.id: discount for discount in new.discounts}
    for name in before:
        if name not in after:
            yield f"discount {name} is gone"
    for name, discount in after.items():
        if name not in before:
            yield f"discount {name} is new: {plain.discount(discount, new.currency)}"
            continue
        if discount.percent != before[name].percent:
            yield f"discount {name}: {plain.off(discount)} instead of {plain.off(before[name])}"
        for change in _terms(before[name], discount, old.currency, new.currency):
            yield f"discount {name}: {change}"


def _terms(old: Rule | Discount, new: Rule | Discount, old_currency: str, new_currency: str) -> Iterator[str]:
    """On which lines and when."""
    yield from _conditions(old, new, old_currency, new_currency)
    yield from _lines(old.where, new.where)
    if (old.from_on, old.until_on) != (new.from_on, new.until_on):
        yield f"runs {plain.dates(new)} instead of {plain.dates(old)}"


def _rule(old: Rule, new: Rule, old_currency: str, new_currency: str) -> Iterator[str]:
    gave, gives = plain.gives(old, old_currency), plain.gives(new, new_currency)
    if gave != gives:
        yield _value(gave, gives)
    yield from _names("for", old.types or frozenset(), new.types or frozenset())
    yield from _terms(old, new, old_currency, new_currency)
    if old.group != new.group:
        yield _added("in group", old.group, new.group)
    yield from _limits(plain.limits(old.limit), plain.limits(new.limit))


def _value(gave: str, gives: str) -> str:
    """ "50 -> 60 points a unit"; what differs beyond the number is said in full."""
    first, _, rest = gave.partition(" ")
    number, _, unit = gives.partition(" ")
    same = rest.replace("points", "point", 1) == unit.replace("points", "point", 1)
    return f"{first} -> {number} {unit}" if unit and same else f"{gave} -> {gives}"


def _added(what: str, old: str | None, new: str | None) -> str:
    if new is None:
        return f"no longer {what} {old}"
    return f"now {what} {new}" + (f" instead of {old}" if old is not None else "")


def _conditions(
    old: Rule | Discount, new: Rule | Discount, old_currency: str, new_currency: str
) -> Iterator[str]:
    before, after = plain.conditions(old.when, old_currency), plain.conditions(new.when, new_currency)
    for key in dict.fromkeys((*before, *after)):
        if key not in after:
            yield f"no longer only {before[key]}"
        elif key not in before:
            yield f"now only {after[key]}"
        elif key in ("channel", "store", "tier"):
            yield from _names(f"in {key}", getattr(old.when, key), getattr(new.when, key))
        elif before[key] != after[key]:
            yield f"only {after[key]} instead of {before[key]}"


def _lines(old: Selector | None, new: Selector | None) -> Iterator[str]:
    before, after = plain.lines(old), plain.lines(new)
    for key in dict.fromkeys((*before, *after)):
        if key not in after:
            yield f"no longer asks for {before[key]}"
        elif key not in before:
            yield f"now asks for {after[key]}"
        elif key != "min_quantity":
            yield from _names(key.replace("_", " "), getattr(old, key), getattr(new, key))
        elif before[key] != after[key]:
            yield f"asks for {after[key]} instead of {before[key]}"


def _names(what: str, old: frozenset[str], new: frozenset[str]) -> Iterator[str]:
    """What came and what went: lists may be long."""
    changes = (("now also", new - old), ("no longer", old - new))
    told = [f"{said} {what} {plain.listed(names)}" for said, names in changes if names]
    if told:
        yield ", ".join(told)


def _limits(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        if key not in new:
            yield f"no longer {old[key]}"
        elif key not in old:
            yield f"now {new[key]}"
        elif old[key] != new[key]:
            yield f"{new[key]} instead of {old[key]}"
