"""Parts of a program in plain words, for those who read what changes or what is odd about it."""

from collections.abc import Iterable
from datetime import time, timedelta
from decimal import Decimal
from fractions import Fraction

from loyalty.currency import shown
from loyalty.program.model import (
    Discount,
    ExpireAfter,
    ExpireFixed,
    ExpireInactivity,
    Expiry,
    Limit,
    Period,
    Qualify,
    Rule,
    Selector,
    When,
)
from loyalty.program.rule_keys import WEEKDAYS

_LISTED = 5


def money(amount: int, currency: str) -> str:
    """An amount without its currency: 600000 of CNY is "6,000.00"."""
    return shown(amount, currency).removesuffix(f" {currency}")


def number(value: Fraction | int) -> str:
    """An exact number: "1,000", "1.2", "10/3"."""
    exact = Fraction(value)
    if exact.denominator == 1:
        return f"{exact.numerator:,}"
    rest = exact.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"{exact.numerator}/{exact.denominator}"
    return f"{Decimal(exact.numerator) / Decimal(exact.denominator):f}"


def count(value: Fraction | int, unit: str) -> str:
    """ "1 point", "1,000 points"."""
    return f"{number(value)} {unit}{'' if value == 1 else 's'}"


def listed(names: Iterable[str]) -> str:
    """Names in order, and how many more there are when they are many."""
    known = sorted(names)
    more = len(known) - _LISTED
    return ", ".join(known[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def period(length: Period) -> str:
    for value, unit in ((length.days, "day"), (length.months, "month"), (length.years, "year")):
        if value:
            return count(value, unit)
    return "no time"


def expiry(policy: Expiry) -> str:
    """When points die, as the end of "points expire …"."""
    if isinstance(policy, ExpireAfter):
        rounded = f" at the end of the {policy.round_to}" if policy.round_to else ""
        return f"after {period(policy.period)}{rounded}"
    if isinstance(policy, ExpireFixed):
        least = f", at the earliest after {count(policy.min_days, 'day')}" if policy.min_days else ""
        return f"each year after {policy.month:02}-{policy.day:02}{least}"
    if isinstance(policy, ExpireInactivity):
        return f"{period(policy.period)} after the last activity"
    return "never"


def clock(at: time) -> str:
    """A wall time: "18:00"; seconds only where there are some."""
    return at.isoformat("auto" if at.second or at.microsecond else "minutes")


def qualify(asked: Qualify | None, currency: str) -> str:
    """What a tier asks for: "5,000.00 or 12 visits"."""
    if asked is None:
        return "nothing"
    parts = [] if asked.spend_amount is None else [money(asked.spend_amount, currency)]
    parts += [] if asked.visits is None else [count(asked.visits, "visit")]
    return (" or " if asked.need == "any" else " and ").join(parts)


def gives(rule: Rule, currency: str) -> str:
    """What a rule gives: "50 points a unit", "1 point for every 1.00", "x2"."""
    if rule.kind == "multiplier":
        return f"x{number(rule.factor or 1)}"
    points = count(rule.points or 0, "point")
    if rule.kind == "units":
        return f"{points} a unit"
    if rule.kind == "flat":
        return points
    if rule.kind == "event":
        return f"{points} an event"
    steps = " (full steps only)" if rule.whole_steps else ""
    return f"{points} for every {money(rule.per_amount or 1, currency)}{steps}"


def dates(rule: Rule | Discount) -> str:
    """When a rule or discount runs, by its first and its last day."""
    first = f"from {rule.from_on}" if rule.from_on else ""
    last = f"until the end of {rule.until_on - timedelta(days=1)}" if rule.until_on else ""
    return " ".join(part for part in (first, last) if part) or "without dates"


_BIRTHDAY = {
    "day": "on the member's birthday",
    "week": "in the week of the member's birthday",
    "month": "in the month of the member's birthday",
}


def conditions(when: When | None, currency: str) -> dict[str, str]:
    """Each condition by its key: `{"tier": "in tier silver"}`."""
    if when is None:
        return {}
    found: dict[str, str] = {}
    for key in ("channel", "store", "tier"):
        if (names := getattr(when, key)) is not None:
            found[key] = f"in {key} {listed(names)}"
    if when.weekday is not None:
        found["weekday"] = "on " + ", ".join(WEEKDAYS[day] for day in sorted(when.weekday))
    if when.day_of_month is not None:
        found["day_of_month"] = "on day " + ", ".join(map(str, sorted(when.day_of_month))) + " of the month"
    if when.month_day is not None:
        found["month_day"] = "on " + ", ".join(
            f"{month:02}-{day:02}" for month, day in sorted(when.month_day)
        )
    if when.time_from is not None or when.time_until is not None:
        ends = (("from", when.time_from), ("until", when.time_until))
        found["time"] = " ".join(f"{word} {clock(at)}" for word, at in ends if at is not None)
    if when.birthday is not None:
        found["birthday"] = _BIRTHDAY[when.birthday]
    if when.first_purchase is not None:
        found["first_purchase"] = f"{'' if when.first_purchase else 'not '}on the first purchase"
    if when.min_amount is not None:
        found["min_amount"] = f"on purchases of at least {money(when.min_amount, currency)}"
    if when.min_lines is not None:
        found["min_lines"] = f"on purchases of at least {count(when.min_lines, 'line')}"
    return found


def lines(where: Selector | None) -> dict[str, str]:
    """Each part of a selector by its key: `{"sku": "sku LAMP-1", "not_tag": "not tag sale"}`."""
    found: dict[str, str] = {}
    for key in ("sku", "category", "tag"):
        for negated, word in ((key, key), (f"not_{key}", f"not {key}")):
            if (names := getattr(where, negated, None)) is not None:
                found[negated] = f"{word} {listed(names)}"
    if where is not None and where.min_quantity is not None:
        found["min_quantity"] = f"lines of at least {count(where.min_quantity, 'unit')}"
    return found


def limits(limit: Limit | None) -> dict[str, str]:
    """Each limit by its key: `{"per_member": "at most 1 time a member"}`."""
    if limit is None:
        return {}
    told = (
        ("per_purchase_points", "at most {} a purchase", "point"),
        ("per_member", "at most {} a member", "time"),
        ("per_member_day", "at most {} a member and day", "time"),
        ("per_member_points", "at most {} a member", "point"),
        ("budget_points", "a budget of {}", "point"),
    )
    return {
        key: text.format(count(getattr(limit, key), unit))
        for key, text, unit in told
        if getattr(limit, key) is not None
    }


def rule(known: Rule, currency: str) -> str:
    """A whole rule in one sentence."""
    parts = [gives(known, currency)]
    if known.types is not None:
        parts.append(f"for {listed(known.types)}")
    parts += [*_terms(known, currency), *limits(known.limit).values()]
    if known.group:
        parts.append(f"in group {known.group}")
    return ", ".join(parts)


def discount(known: Discount, currency: str) -> str:
    """A whole discount in one sentence."""
    return ", ".join([off(known), *_terms(known, currency)])


def off(known: Discount) -> str:
    """ "15 % off"."""
    return f"{number(Fraction(known.percent))} % off"


def _terms(known: Rule | Discount, currency: str) -> list[str]:
    """On which lines and when."""
    where = lines(known.where)
    parts = ["for " + " and ".join(where.values())] if where else []
    parts += conditions(known.when, currency).values()
    if known.from_on or known.until_on:
        parts.append(dates(known))
    return parts
