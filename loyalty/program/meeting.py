"""When and where rules meet: on which days, in whose baskets, on which lines. For the warnings of `check`.

Days are bits of one integer over a horizon, so that two rules meet where a single `&` is not zero.
"""

from collections.abc import Iterable
from datetime import date, time, timedelta
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from msgspec import Struct

from loyalty.program.model import Discount, Program, Rule, Selector, When

_CYCLE_DAYS = 28 * 366
"""Weekdays and dates meet again within 28 years, also on 29 February."""
_MOST_DAYS = 150 * 366
_EARLIEST = date(2000, 1, 1)


class Horizon(Struct, frozen=True):
    """The days that are looked at: all of the program's dates, and a whole cycle of the calendar."""

    first: date
    days: int

    @classmethod
    def of(cls, program: Program) -> "Horizon":
        dated: tuple[Rule | Discount, ...] = (*program.rules, *program.discounts)
        begins = [first for rule in dated if (first := _begin(rule)) is not None]
        ends = [rule.until_on for rule in dated if rule.until_on is not None]
        first = min(begins, default=_EARLIEST)
        last = max([*begins, *ends], default=first)
        return cls(first, min((last - first).days + _CYCLE_DAYS, _MOST_DAYS, (date.max - first).days))

    def of_rule(self, rule: Rule | Discount) -> int:
        """The days on which the rule or discount may fire, as bits."""
        begin = 0 if rule.from_on is None else min(max((rule.from_on - self.first).days, 0), self.days)
        end = (
            self.days if rule.until_on is None else min(max((rule.until_on - self.first).days, 0), self.days)
        )
        span = (1 << max(end, begin)) - (1 << begin)
        when = rule.when
        if when is None or (when.weekday, when.day_of_month, when.month_day) == (None, None, None):
            return span
        weekdays, days, month_days = _calendar(self)
        for wanted, known in (
            (when.weekday, weekdays),
            (when.day_of_month, days),
            (when.month_day, month_days),
        ):
            if wanted is not None:
                span &= reduce(or_, (known.get(one, 0) for one in wanted), 0)
        return span

    def day(self, bits: int, last: bool = False) -> date:
        """The first day among bits that are not zero, or the last."""
        return self.first + timedelta(days=(bits if last else bits & -bits).bit_length() - 1)


def _begin(rule: Rule | Discount) -> date | None:
    """The first day that need be looked at; of a rule with an end alone, a cycle before it."""
    if rule.from_on is not None or rule.until_on is None:
        return rule.from_on
    return date.fromordinal(max(1, rule.until_on.toordinal() - _CYCLE_DAYS))


@lru_cache(maxsize=4)
def _calendar(horizon: Horizon) -> tuple[dict[Any, int], dict[Any, int], dict[Any, int]]:
    """The horizon's days by weekday, by day of the month, and by month and day."""
    found: tuple[dict[Any, bytearray], ...] = ({}, {}, {})
    size = horizon.days // 8 + 1
    for number in range(horizon.days):
        day = horizon.first + timedelta(days=number)
        for table, key in zip(found, (day.weekday(), day.day, (day.month, day.day)), strict=True):
            if key not in table:
                table[key] = bytearray(size)
            table[key][number >> 3] |= 1 << (number & 7)
    weekdays, days, month_days = (
        {key: int.from_bytes(bits, "little") for key, bits in table.items()} for table in found
    )
    return weekdays, days, month_days


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    return one is None or other is None or not one.isdisjoint(other)


_NO_CONDITIONS = When()
_ALL_LINES = Selector()


def same_basket(one: When | None, other: When | None) -> bool:
    """Whether one basket can meet both, days aside. Birthdays, amounts and lines always can."""
    a, b = one or _NO_CONDITIONS, other or _NO_CONDITIONS
    return (
        _both(a.channel, b.channel)
        and _both(a.store, b.store)
        and _both(a.tier, b.tier)
        and (a.first_purchase is None or b.first_purchase is None or a.first_purchase == b.first_purchase)
        and _same_hour(a, b)
    )


def _same_hour(a: When, b: When) -> bool:
    ends = [at for at in (a.time_from, a.time_until, b.time_from, b.time_until) if at is not None]
    return not ends or any(_holds_at(a, at) and _holds_at(b, at) for at in (time(), *ends))


def _holds_at(when: When, at: time) -> bool:
    begin, end = when.time_from, when.time_until
    if begin is None or end is None:
        return (begin is None or at >= begin) and (end is None or at < end)
    return begin <= at < end if begin < end else (at >= begin or at < end)


def same_line(one: Selector | None, other: Selector | None) -> bool:
    """Whether some line can be selected by both."""
    a, b = one or _ALL_LINES, other or _ALL_LINES
    for wanted, refused in (("sku", "not_sku"), ("category", "not_category")):
        names = [names for names in (getattr(a, wanted), getattr(b, wanted)) if names is not None]
        if names:
            left = frozenset.intersection(*names)
            for side in (a, b):
                left -= getattr(side, refused) or frozenset()
            if not left:
                return False
    # A line has many tags: any wanted tag will do that nobody refuses.
    for wanting, refusing in ((a, b), (b, a), (a, a), (b, b)):
        if wanting.tag is not None and wanting.tag <= (refusing.not_tag or frozenset()):
            return False
    return True


def surely_same_line(one: Selector | None, other: Selector | None) -> bool:
    """Whether the file itself shows a line of both: one selects all lines, or both name the same thing."""
    a, b = one or _ALL_LINES, other or _ALL_LINES
    if not same_line(a, b):
        return False
    return _names_none(a) or _names_none(b) or any(_shared(a, b, key) for key in ("sku", "category", "tag"))


def _names_none(where: Selector) -> bool:
    return (where.sku, where.category, where.tag) == (None, None, None)


def _shared(a: Selector, b: Selector, key: str) -> bool:
    one, other = getattr(a, key), getattr(b, key)
    return bool(one and other and not one.isdisjoint(other))


def lines_within(inner: Selector | None, outer: Selector | None) -> bool:
    """Whether every line that `inner` selects is selected by `outer` too."""
    a, b = inner or _ALL_LINES, outer or _ALL_LINES
    for wanted, refused in (("sku", "not_sku"), ("category", "not_category"), ("tag", "not_tag")):
        mine, theirs = getattr(a, wanted), getattr(b, wanted)
        if theirs is not None and (mine is None or not mine <= theirs):
            return False
        taboo = getattr(b, refused)
        if taboo is None or taboo <= (getattr(a, refused) or frozenset()):
            continue
        # A line with one of my tags may carry a refused one besides; with my SKU it has no other.
        if wanted == "tag" or mine is None or not mine.isdisjoint(taboo):
            return False
    return b.min_quantity is None or (a.min_quantity is not None and a.min_quantity >= b.min_quantity)


def baskets_within(inner: When | None, outer: When | None) -> bool:
    """Whether every basket that meets `inner` meets `outer` too, days aside."""
    a, b = inner or _NO_CONDITIONS, outer or _NO_CONDITIONS
    for key in ("channel", "store", "tier"):
        mine, theirs = getattr(a, key), getattr(b, key)
        if theirs is not None and (mine is None or not mine <= theirs):
            return False
    for key in ("min_amount", "min_lines"):
        mine, theirs = getattr(a, key), getattr(b, key)
        if theirs is not None and (mine is None or mine < theirs):
            return False
    if b.birthday is not None and a.birthday not in (b.birthday, "day"):
        return False
    if b.first_purchase is not None and a.first_purchase != b.first_purchase:
        return False
    hours = (b.time_from, b.time_until)
    return hours in ((None, None), (a.time_from, a.time_until))


def keys_of(where: Selector | None) -> Iterable[tuple[str, str]]:
    """The things that a selector names, by which rules that may share a line are found."""
    for key in ("sku", "category", "tag"):
        for name in getattr(where, key, None) or ():
            yield key, name
