"""What a basket is judged by, beside the program: values that the caller records with the purchase.

A return judges what is left of the basket by the very same facts (DESIGN.md section 4, Returns).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from loyalty.types import Quantity


class Line(Protocol):
    """A line as the rules see it. `PurchaseLine` is one as it stands; `line` is its number."""

    @property
    def line(self) -> int | None: ...
    @property
    def sku(self) -> str: ...
    @property
    def quantity(self) -> Quantity: ...
    @property
    def amount(self) -> int: ...
    @property
    def category(self) -> str | None: ...
    @property
    def tags(self) -> Sequence[str]: ...


class JudgedLine(Struct, frozen=True, gc=False):
    """What is left of a line after a return. Lines with nothing left are not to be judged at all."""

    line: int | None
    sku: str
    quantity: Quantity
    amount: int
    category: str | None = None
    tags: tuple[str, ...] = ()


class Used(Struct, frozen=True, omit_defaults=True):
    """How far a rule's limits were used before this purchase.

    times, times_day: by this member, ever and on the purchase's local day. points: charged to this member.
    budget_left: whole points left of the rule's budget; None means all of it.
    """

    times: int = 0
    times_day: int = 0
    points: int = 0
    budget_left: int | None = None


class Facts(Struct, frozen=True, omit_defaults=True):
    """Everything about one purchase, or event, that its lines do not say; never a date of birth.

    redeemed_amount: money value of the points that pay for the basket, spread over all lines.
    basket_amount: sum of all line amounts as bought, excluded lines too; needed when anything is redeemed, so
        that a part of the basket carries its part of `redeemed_amount`.
    birthday: which of day, week and month match (`birthday_matches`).
    used: by rule id, for rules with limits; a rule that is not named was never used.
    channel: empty for an event that came without one.
    """

    occurred_at: datetime
    channel: str
    tier: str
    store: str | None = None
    redeemed_amount: int = 0
    basket_amount: int = 0
    first_purchase: bool = False
    birthday: frozenset[str] = frozenset()
    used: dict[str, Used] = {}


_UNUSED = Used()


class UsedBefore(dict[str, Used]):
    """How far limited rules were used, looked up when a judgement asks: a program may have thousands.

    What it holds afterwards is what a judgement by the same facts will ask again.
    """

    __slots__ = ("look",)
    look: Callable[[str], Used]

    def __missing__(self, rule_id: str) -> Used:
        found = self[rule_id] = self.look(rule_id)
        return found


def used_before(facts: Facts, rule_id: str) -> Used:
    """How far the rule was used; never, when the facts do not say."""
    try:
        return facts.used[rule_id]
    except KeyError:
        return _UNUSED
