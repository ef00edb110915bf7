"""The requests that clients send, as values. Every layer speaks in these; nothing here knows HTTP, SQL or the clock.

Amounts are integers of the currency's minor unit, points are integers, instants carry an offset.
Two requests are the same request when these values are equal, however they were written or sent.
"""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_AMOUNT = 2**53
"""Largest amount or number of points in one field: what every JSON reader holds exactly."""

Shard = int
AccountNumber = int

NAME_SHAPES = {
    "id": r"[A-Za-z0-9._-]{1,64}",
    "phone": r"\+[0-9]{2,15}",
    "card": r"[A-Za-z0-9._-]{1,64}",
    "email": r"[^@\s\x00-\x1f\x7f-\x9f]{1,128}@[^@\s\x00-\x1f\x7f-\x9f]{1,126}",
    "ext": r"[A-Za-z0-9._:/-]{1,128}",
}
"""How a member_id (`id`) and the identifiers of each scheme are written, as regular expressions."""


def _whole(shape: str) -> Meta:
    return Meta(pattern=rf"\A{shape}\Z")


_schemes = "|".join(f"{scheme}:{shape}" for scheme, shape in NAME_SHAPES.items() if scheme != "id")

RequestId = Annotated[str, _whole(r"[A-Za-z0-9._:/-]{1,128}")]
EventType = Annotated[str, _whole(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")]
RewardId = Annotated[str, _whole(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")]
MemberId = Annotated[str, _whole(NAME_SHAPES["id"])]
Phone = Annotated[str, _whole(NAME_SHAPES["phone"])]
Card = Annotated[str, _whole(NAME_SHAPES["card"])]
Email = Annotated[str, _whole(NAME_SHAPES["email"])]
Ext = Annotated[str, _whole(NAME_SHAPES["ext"])]
MemberRef = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=260,
        extra_json_schema={"pattern": rf"^({NAME_SHAPES['id']}|{_schemes})$"},
    ),
]
"""A member_id, or an identifier with its scheme: `phone:+8613800000001`, `card:…`, `email:…`, `ext:…`."""

# What is looked at after decoding, so that the refusal can say it better, stands here for readers of the schema.
_PRINTABLE = {"pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}
_YEARS = {"pattern": r"^(19|[2-8][0-9])[0-9]{2}-"}

Text = Annotated[str, Meta(min_length=1, max_length=128, extra_json_schema=_PRINTABLE)]
LongText = Annotated[str, Meta(min_length=1, max_length=500, extra_json_schema=_PRINTABLE)]
Amount = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]
Points = Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
Instant = Annotated[datetime, Meta(tz=True, extra_json_schema=_YEARS)]
HoldSeconds = Annotated[int, Meta(ge=1, le=7 * 24 * 3600)]

Quantity = int | Decimal | Fraction
"""Units of goods. Clients send integers and decimals; the kept part of a partly returned line may be a fraction."""


class PurchaseLine(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a basket. `amount` is the line's total after discounts; `quantity` may have a fraction or be zero."""

    sku: Text
    amount: Amount
    line: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    quantity: int | Decimal = 1
    list_amount: Amount | None = None
    category: Text | None = None
    tags: Annotated[tuple[Text, ...], Meta(max_length=50)] = ()


class PurchaseRedemption(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Points redeemed on the basket itself, or the hold of this id captured: exactly one of `points` and `amount`."""

    redemption_id: RequestId
    points: Points | None = None
    amount: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)] | None = None


class Purchase(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="purchase"
):
    """A basket that a member paid for."""

    purchase_id: RequestId
    member: MemberRef
    occurred_at: Instant
    channel: Text
    lines: Annotated[tuple[PurchaseLine, ...], Meta(min_length=1)]
    store: Text | None = None
    terminal: Text | None = None
    redemption: PurchaseRedemption | None = None


class ReturnLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Part of a purchase's line that comes back, by quantity, by amount, or both."""

    line: Annotated[int, Meta(ge=1, le=1_000_000)]
    quantity: int | Decimal | None = None
    amount: Amount | None = None


ReturnLines = Annotated[tuple[ReturnLine, ...], Meta(extra_json_schema={"minItems": 1})]


class Return(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Goods of a known purchase come back. `lines` None: all that is left of it."""

    return_id: RequestId
    purchase_id: RequestId
    occurred_at: Instant
    lines: ReturnLines | None = None


class UnlinkedReturn(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Goods come back without a known purchase."""

    return_id: RequestId
    member: MemberRef
    occurred_at: Instant
    lines: Annotated[tuple[PurchaseLine, ...], Meta(min_length=1)]


class Redemption(Struct, frozen=True, forbid_unknown_fields=True):
    """Points turned into money: exactly one of `points` and `amount`.

    With `hold` they are set aside for `hold_seconds`.
    """

    redemption_id: RequestId
    member: MemberRef
    points: Points | None = None
    amount: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)] | None = None
    basket_amount: Amount | None = None
    hold: bool = False
    hold_seconds: HoldSeconds = 900


class Capture(Struct, frozen=True, forbid_unknown_fields=True):
    """A hold is spent; what `points` leaves is released. `points` None: all of it."""

    redemption_id: RequestId
    points: Points | None = None


class Release(Struct, frozen=True, forbid_unknown_fields=True):
    """A hold is given up and its points are free again."""

    redemption_id: RequestId


class Reversal(Struct, frozen=True, forbid_unknown_fields=True):
    """A captured redemption is undone. With `points`, in part, and then `reversal_id` is required."""

    redemption_id: RequestId
    points: Points | None = None
    reversal_id: RequestId | None = None


class Adjustment(Struct, frozen=True, forbid_unknown_fields=True):
    """Points added or taken by ops, with a reason. `points` is signed and not zero."""

    adjustment_id: RequestId
    member: MemberRef
    points: Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
    reason: LongText
    expires_at: Instant | None = None


class Engagement(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that a member did and that is no purchase: answered a survey, wrote a review, checked in."""

    event_id: RequestId
    member: MemberRef
    type: EventType
    occurred_at: Instant
    channel: Text | None = None


class OpeningTier(Struct, frozen=True, forbid_unknown_fields=True):
    """A tier that a member brings along from before this ledger; `valid_until` None: by the program's validity."""

    member: MemberRef
    tier: Text
    since: Instant
    valid_until: Instant | None = None


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """A member takes a reward for its price in points, and gets a voucher."""

    claim_id: RequestId
    reward_id: RewardId
    member: MemberRef


class Cancellation(Struct, frozen=True, forbid_unknown_fields=True):
    """A claim whose voucher was not used is taken back."""

    claim_id: RequestId


Request = (
    Purchase
    | Return
    | UnlinkedReturn
    | Redemption
    | Capture
    | Release
    | Reversal
    | Adjustment
    | Engagement
    | OpeningTier
    | Claim
    | Cancellation
)
"""What the engine's write path takes. Each is posted whole or not at all."""


class Enrolment(Struct, frozen=True, forbid_unknown_fields=True):
    """A person joins. A `member_id` is made up when absent."""

    member_id: MemberId | None = None
    phone: Phone | None = None
    card: Card | None = None
    email: Email | None = None
    ext: Ext | None = None
    name: Text | None = None
    birthday: date | None = None
    channel: Text | None = None
    enrolled_at: Instant | None = None


Status = Annotated[str, Meta(extra_json_schema={"enum": ["active", "blocked"]})]


class MemberChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of a member. A field left out stays; null takes the value away."""

    phone: Phone | None | UnsetType = UNSET
    card: Card | None | UnsetType = UNSET
    email: Email | None | UnsetType = UNSET
    ext: Ext | None | UnsetType = UNSET
    name: Text | None | UnsetType = UNSET
    birthday: date | None | UnsetType = UNSET
    status: Status | UnsetType = UNSET
