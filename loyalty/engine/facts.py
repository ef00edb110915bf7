"""What a posting records of its decision, as JSON in `posting.facts`: enough to decide it again, or to go on."""

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Literal

import msgspec
from msgspec import Struct

from loyalty.rules.exact import Exact
from loyalty.rules.facts import Facts
from loyalty.types import Engagement, Purchase, Return, UnlinkedReturn

Scaled = int | str
"""A number that may be a fraction: 12 or `10/3`."""


class PurchaseFacts(Struct, frozen=True, omit_defaults=True):
    """A purchase as it was judged.

    points: what it earned. charges: what it used of limits: times and points. by_rule: what each rule gave, exactly,
    in points times `scale`.
    """

    purchase: Purchase
    judged: Facts
    points: int
    total_amount: int
    metric_amount: int
    redeemed_points: int = 0
    redeemed_amount: int = 0
    charges: dict[str, tuple[int, int]] = {}
    by_rule: dict[str, Scaled] = {}
    scale: int = 1


class EngagementFacts(Struct, frozen=True, omit_defaults=True):
    """An event as it was judged; as `PurchaseFacts`."""

    event: Engagement
    judged: Facts
    points: int
    charges: dict[str, tuple[int, int]] = {}
    by_rule: dict[str, Scaled] = {}
    scale: int = 1


class LineBack(Struct, frozen=True, array_like=True):
    """How much of a line has come back so far. `quantity` is exact: `2`, `0.5` or `10/3`."""

    line: int
    quantity: str
    amount: int


class ReturnFacts(Struct, frozen=True, omit_defaults=True):
    """A return, and how its purchase stands after it: all that the next return of the same purchase needs."""

    request: Return
    back: list[LineBack]
    kept_points: int
    kept_metric_amount: int
    returned_amount: int
    restored_points: int
    refunded_amount: int
    kept_charges: dict[str, tuple[int, int]] = {}


class UnlinkedReturnFacts(Struct, frozen=True, omit_defaults=True):
    request: UnlinkedReturn
    judged: Facts
    points: int


class RedemptionFacts(Struct, frozen=True, omit_defaults=True):
    """Points turned into `amount`, at once or held `until`."""

    points: int
    amount: int
    until: datetime | None = None


class EndFacts(Struct, frozen=True, omit_defaults=True):
    """How a hold ended: what was captured of it, what that is worth, and the purchase that it paid for, if one."""

    points: int
    amount: int
    purchase_id: str | None = None


class ReversalFacts(Struct, frozen=True):
    """Points of a captured redemption given back by this posting."""

    points: int
    amount: int


class ClaimFacts(Struct, frozen=True):
    """A reward taken, and the voucher given for it. `counted`: it took a unit from the stock."""

    reward_id: str
    version: int
    points: int
    code: str
    counted: bool
    valid_until: datetime | None


class MergeFacts(Struct, frozen=True, omit_defaults=True):
    """One side of a merge: everything went `out`, came `in`, or a hold that came goes on (`hold`, `until`).

    `active_at`: the last activity of the account that came in.
    """

    direction: Literal["out", "in", "hold"]
    points: int
    until: datetime | None = None
    active_at: datetime | None = None


class AdjustmentFacts(Struct, frozen=True, omit_defaults=True):
    points: int
    reason: str
    expires_at: datetime | None = None


def scaled(points: Mapping[str, Exact]) -> dict[str, Scaled]:
    """Exact points by rule as they are recorded."""
    return {rule: part if type(part) is int else str(part) for rule, part in points.items()}


def exact(points: Mapping[str, Scaled]) -> dict[str, Exact]:
    """What `scaled` made, as it was."""
    return {rule: part if type(part) is int else Fraction(part) for rule, part in points.items()}


_encoder = msgspec.json.Encoder(order="deterministic")


def to_text(facts: Struct) -> str:
    return _encoder.encode(facts).decode()


def purchase_facts(text: str) -> PurchaseFacts:
    return _purchase.decode(text)


def engagement_facts(text: str) -> EngagementFacts:
    return _engagement.decode(text)


def return_facts(text: str) -> ReturnFacts:
    return _return.decode(text)


def unlinked_return_facts(text: str) -> UnlinkedReturnFacts:
    return _unlinked.decode(text)


def redemption_facts(text: str) -> RedemptionFacts:
    return _redemption.decode(text)


def end_facts(text: str) -> EndFacts:
    return _end.decode(text)


def reversal_facts(text: str) -> ReversalFacts:
    return _reversal.decode(text)


def claim_facts(text: str) -> ClaimFacts:
    return _claim.decode(text)


def merge_facts(text: str) -> MergeFacts:
    return _merge.decode(text)


_purchase = msgspec.json.Decoder(PurchaseFacts)
_engagement = msgspec.json.Decoder(EngagementFacts)
_return = msgspec.json.Decoder(ReturnFacts)
_unlinked = msgspec.json.Decoder(UnlinkedReturnFacts)
_redemption = msgspec.json.Decoder(RedemptionFacts)
_end = msgspec.json.Decoder(EndFacts)
_reversal = msgspec.json.Decoder(ReversalFacts)
_claim = msgspec.json.Decoder(ClaimFacts)
_merge = msgspec.json.Decoder(MergeFacts)
