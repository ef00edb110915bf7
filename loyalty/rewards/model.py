"""Rewards as values: what they cost, to whom and when, and whether a member may claim one. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from loyalty.calendar import Calendar, shift_days
from loyalty.errors import FieldError, OutOfStock, RewardNotAvailable, RewardNotForTier
from loyalty.members.text import check_text
from loyalty.types import MAX_AMOUNT, LongText, Points, Text

RewardKind = Literal["cash", "gift", "service"]
MOST_VALID_DAYS = 3_660


class RewardTerms(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A reward. `points` is its price; `amount`, for `cash` alone, what its voucher is worth at the till.

    `from` is the first local day on which it can be claimed, `until` the first on which it no longer can. `tiers`:
    whose members may; none: all. `valid_days`: local days after that of the claim on which its voucher can still be
    used; none: without end. Stock is counted unless it is `unlimited`.
    """

    name: Text
    kind: RewardKind
    points: Points
    amount: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)] | None = None
    description: LongText | None = None
    tiers: Annotated[tuple[Text, ...], Meta(max_length=50)] = ()
    from_: date | None = field(default=None, name="from")
    until: date | None = None
    valid_days: Annotated[int, Meta(ge=0, le=MOST_VALID_DAYS)] | None = None
    unlimited: bool = False


def terms_errors(terms: RewardTerms, tiers: Collection[str]) -> list[FieldError]:
    """What is wrong with terms beyond their shape. `tiers`: those of the program in force."""
    errors: list[FieldError] = []
    check_text("name", terms.name, errors)
    check_text("description", terms.description, errors)
    if (terms.kind == "cash") != (terms.amount is not None):
        message = "is what a cash reward is worth: " + ("add it" if terms.kind == "cash" else "leave it out")
        errors.append(FieldError("amount", message))
    for place, tier in enumerate(terms.tiers):
        if tier not in tiers:
            errors.append(FieldError(f"tiers[{place}]", f"{tier!r} is none of the program's tiers"))
    if terms.from_ is not None and terms.until is not None and terms.from_ >= terms.until:
        errors.append(
            FieldError("until", "is not after from: it is the first day on which the reward is over")
        )
    return errors


@dataclass(slots=True)
class Offer:
    """A reward in its newest version, with the units that are left of it."""

    reward_id: str
    version: int
    terms: RewardTerms
    stock: int

    @property
    def left(self) -> int | None:
        """Units that can be claimed; None: without end."""
        return None if self.terms.unlimited else self.stock

    def is_open(self, today: date) -> bool:
        """Whether it can be claimed on that local day."""
        terms = self.terms
        return (terms.from_ is None or today >= terms.from_) and (terms.until is None or today < terms.until)

    def is_for(self, tier: str) -> bool:
        return not self.terms.tiers or tier in self.terms.tiers

    def check(self, today: date, tier: str) -> None:
        """Refuses a claim by a member of that tier today.

        Raises RewardNotAvailable, RewardNotForTier or OutOfStock.
        """
        terms = self.terms
        if not self.is_open(today):
            begun = terms.from_ is None or today >= terms.from_
            raise RewardNotAvailable(
                f"{self.reward_id} is over since {terms.until}."
                if begun
                else f"{self.reward_id} can be claimed from {terms.from_} on.",
                claimable_from=terms.from_,
                claimable_until=terms.until,
            )
        if not self.is_for(tier):
            raise RewardNotForTier(
                f"{self.reward_id} is for members of {', '.join(terms.tiers)}; this member is in {tier}.",
                tier=tier,
                tiers=list(terms.tiers),
            )
        if self.left == 0:
            raise OutOfStock(f"Nothing is left of {self.reward_id}.", stock=0)


def valid_until(terms: RewardTerms, calendar: Calendar, claimed_at: datetime) -> datetime | None:
    """The first instant at which a voucher claimed then can no longer be used."""
    if terms.valid_days is None:
        return None
    return calendar.day_start(shift_days(calendar.day(claimed_at), terms.valid_days + 1))
