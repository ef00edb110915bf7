"""When a rule applies (`when`, `from`, `until`).

Conditions are of two sorts: those that hold for everybody with the same day, channel, store and tier, whose
outcome is kept and shared by many baskets, and those that each basket is asked anew.
"""

from collections.abc import Callable, Sequence
from datetime import date, time
from typing import TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct

from loyalty.program.model import Discount, Rule, When
from loyalty.rules.facts import Facts

T = TypeVar("T")


class Setting(Struct, frozen=True, gc=False):
    """What many baskets share."""

    day: date
    channel: str
    store: str | None
    tier: str


class Basket(Struct, frozen=True, gc=False):
    """What is one basket's own: its facts, its earning base over `scale`, its lines that earn."""

    zone: ZoneInfo
    facts: Facts
    base: int
    scale: int
    lines: int

    @property
    def wall(self) -> time:
        """The local time of day."""
        return self.facts.occurred_at.astimezone(self.zone).time()


SharedTest = Callable[[Setting], bool]
BasketTest = Callable[[Basket], bool]


def shared_test(rule: Rule | Discount) -> SharedTest | None:
    """Whether the rule is in force on that day, for that channel, store and tier. None: always."""
    tests: list[SharedTest] = []
    if (first := rule.from_on) is not None:
        tests.append(lambda setting: setting.day >= first)
    if (over := rule.until_on) is not None:
        tests.append(lambda setting: setting.day < over)
    if rule.when is not None:
        tests += _shared_tests(rule.when)
    return _all(tests)


def _shared_tests(when: When) -> list[SharedTest]:
    tests: list[SharedTest] = []
    if (channels := when.channel) is not None:
        tests.append(lambda setting: setting.channel in channels)
    if (stores := when.store) is not None:
        tests.append(lambda setting: setting.store in stores)
    if (tiers := when.tier) is not None:
        tests.append(lambda setting: setting.tier in tiers)
    if (weekdays := when.weekday) is not None:
        tests.append(lambda setting: setting.day.weekday() in weekdays)
    if (days := when.day_of_month) is not None:
        tests.append(lambda setting: setting.day.day in days)
    if (month_days := when.month_day) is not None:
        tests.append(lambda setting: (setting.day.month, setting.day.day) in month_days)
    return tests


def basket_test(rule: Rule | Discount) -> BasketTest | None:
    """Whether this very basket meets the rest of `when`. None: nothing more is asked."""
    when = rule.when
    if when is None:
        return None
    tests: list[BasketTest] = []
    if when.time_from is not None or when.time_until is not None:
        tests.append(_hours(when))
    if (span := when.birthday) is not None:
        tests.append(lambda basket: span in basket.facts.birthday)
    if (first := when.first_purchase) is not None:
        tests.append(lambda basket: basket.facts.first_purchase == first)
    if (least := when.min_amount) is not None:
        tests.append(lambda basket: basket.base >= least * basket.scale)
    if (fewest := when.min_lines) is not None:
        tests.append(lambda basket: basket.lines >= fewest)
    return _all(tests)


def _all(tests: Sequence[Callable[[T], bool]]) -> Callable[[T], bool] | None:
    """One test that holds when all do; None without any."""
    match tests:
        case []:
            return None
        case [one]:
            return one
        case [one, other]:
            return lambda asked: one(asked) and other(asked)
    return lambda asked: all(test(asked) for test in tests)


def _hours(when: When) -> BasketTest:
    begin, end = when.time_from, when.time_until
    if end is None:
        return lambda basket: begin is None or basket.wall >= begin
    if begin is None:
        return lambda basket: basket.wall < end
    if begin < end:
        return lambda basket: begin <= basket.wall < end
    # Past midnight: the evening belongs to one local day and the small hours to the next.
    return lambda basket: not end <= basket.wall < begin
