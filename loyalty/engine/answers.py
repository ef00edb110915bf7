"""What the engine answers, as values. Encoded once, stored with the posting, and given again byte for byte."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.json import Encoder

from loyalty.rewards.model import RewardKind
from loyalty.rules.award import Explained
from loyalty.rules.facts import Facts
from loyalty.types import PurchaseRedemption

encode = Encoder(order=None).encode


class Answer(Struct, frozen=True):
    """The stored bytes of an answer (JSON), and whether they were given before."""

    body: bytes
    replayed: bool = False


class LotAnswer(Struct, frozen=True):
    points: int
    spendable_from: datetime
    expires_at: datetime | None


class BalanceAnswer(Struct, frozen=True):
    """Points: balance = available + held + pending - debt."""

    balance: int
    available: int
    held: int
    pending: int
    debt: int


class TierAnswer(Struct, frozen=True):
    """The tier after the request; `previous` when the request changed it."""

    tier: str
    previous: str | UnsetType = UNSET


class Receipt(Struct, frozen=True):
    """What a purchase earned."""

    purchase_id: str
    member_id: str
    points_earned: int
    points_pending: int
    points_redeemed: int
    debt_repaid: int
    lots: list[LotAnswer]
    explain: list[Explained]
    rounding: str
    balance: BalanceAnswer
    tier: TierAnswer
    program_version: int
    recorded_at: datetime


class EventReceipt(Struct, frozen=True):
    """What an event earned."""

    event_id: str
    member_id: str
    type: str
    points_earned: int
    points_pending: int
    debt_repaid: int
    lots: list[LotAnswer]
    explain: list[Explained]
    rounding: str
    balance: BalanceAnswer
    program_version: int
    recorded_at: datetime


class ReturnReceipt(Struct, frozen=True):
    """What a return took back and gave back. `purchase_id` is absent when the purchase is not known."""

    return_id: str
    member_id: str
    points_clawed_back: int
    points_restored: int
    debt_added: int
    debt_repaid: int
    refund_amount: int
    lots: list[LotAnswer]
    explain: list[Explained]
    rounding: str
    balance: BalanceAnswer
    tier: TierAnswer
    program_version: int
    recorded_at: datetime
    purchase_id: str | UnsetType = UNSET


class RedemptionAnswer(Struct, frozen=True):
    """`status`: captured, held, released or timed_out; `until` while it is held."""

    redemption_id: str
    member_id: str
    status: str
    points: int
    amount: int
    balance: BalanceAnswer
    until: datetime | UnsetType = UNSET


class ReversalAnswer(Struct, frozen=True):
    """`points` given back by this reversal, and what they are worth."""

    redemption_id: str
    member_id: str
    status: str
    points: int
    amount: int
    balance: BalanceAnswer
    reversal_id: str | UnsetType = UNSET


class AdjustmentAnswer(Struct, frozen=True):
    adjustment_id: str
    member_id: str
    points: int
    reason: str
    balance: BalanceAnswer
    recorded_at: datetime


class VoucherAnswer(Struct, frozen=True):
    """What a claim gives: a code, to be used once, before `valid_until` where there is one."""

    code: str
    valid_until: datetime | None


class ClaimAnswer(Struct, frozen=True):
    """A reward taken for `points`. `amount`: what a cash voucher is worth."""

    claim_id: str
    member_id: str
    reward_id: str
    name: str
    kind: RewardKind
    points: int
    amount: int | None
    voucher: VoucherAnswer
    balance: BalanceAnswer
    recorded_at: datetime


class CancellationAnswer(Struct, frozen=True):
    """A claim taken back: its `points` restored, its voucher void."""

    claim_id: str
    member_id: str
    reward_id: str
    points: int
    balance: BalanceAnswer
    recorded_at: datetime


class DiscountAnswer(Struct, frozen=True):
    """`amount` off a line: `percent` of it by the program's discount of that id, or by the member's `tier`."""

    line: int
    percent: int | Decimal
    amount: int
    discount: str | UnsetType = UNSET
    tier: str | UnsetType = UNSET


class Quote(Receipt, frozen=True, kw_only=True):
    """What a purchase would come to: the discounts of its lines, `total_amount` after them, the receipt for that, and
    the most points that may be redeemed on it. `privileges` are those of the tier that the member is in.

    Nothing is written. Record the purchase with each line's amount less its discount to get this receipt.
    """

    discounts: list[DiscountAnswer]
    total_amount: int
    privileges: tuple[str, ...]
    max_points: int


class Expiring(Struct, frozen=True):
    """Points that die at an instant, if they are not spent before."""

    points: int
    expires_at: datetime


class OpenHold(Struct, frozen=True):
    redemption_id: str
    points: int
    until: datetime


class Balance(Struct, frozen=True):
    """An account at an instant. `amount` is what `available` is worth; `expiring` covers the next 90 days."""

    member_id: str
    as_of: datetime
    balance: int
    available: int
    held: int
    pending: int
    debt: int
    amount: int
    lots: list[LotAnswer]
    expiring: list[Expiring]
    holds: list[OpenHold]
    tier: str


class EntryAnswer(Struct, frozen=True, omit_defaults=True):
    """One entry: points moved, and what moved them."""

    seq: int
    kind: str
    points: int
    balance_after: int
    occurred_at: datetime
    recorded_at: datetime
    purchase_id: str | None = None
    return_id: str | None = None
    redemption_id: str | None = None
    reversal_id: str | None = None
    adjustment_id: str | None = None
    event_id: str | None = None
    claim_id: str | None = None
    reason: str | None = None


class EntryPage(Struct, frozen=True):
    """`next_cursor` is null on the last page. `merged_into`: this member's account went to that one."""

    entries: list[EntryAnswer]
    next_cursor: str | None
    merged_into: str | None = None


class PurchaseSummary(Struct, frozen=True):
    purchase_id: str
    occurred_at: datetime
    recorded_at: datetime
    channel: str
    store: str | None
    total_amount: int
    points_earned: int
    points_redeemed: int


class PurchasePage(Struct, frozen=True):
    purchases: list[PurchaseSummary]
    next_cursor: str | None


class RecordedLine(Struct, frozen=True):
    """A line as it was recorded, with everything that was left out of the request filled in."""

    line: int
    sku: str
    quantity: int | Decimal
    amount: int
    list_amount: int | None
    category: str | None
    tags: tuple[str, ...]


class PurchaseRecord(Struct, frozen=True):
    """What was recorded of a purchase: as it was sent (lines numbered), what it was judged by, and its receipts.

    `judged_tier` is the tier that the rules saw; `returns` are the receipts of its returns, oldest first.
    """

    purchase_id: str
    member_id: str
    occurred_at: datetime
    recorded_at: datetime
    channel: str
    store: str | None
    terminal: str | None
    lines: list[RecordedLine]
    redemption: PurchaseRedemption | None
    total_amount: int
    program_version: int
    judged_tier: str
    points_earned: int
    points_kept: int
    explain: list[Explained]
    rounding: str
    receipt: Receipt
    returns: list[ReturnReceipt]


class Explanation(Struct, frozen=True, omit_defaults=True):
    """Why a purchase earned what it did. `verified`, where asked for: the recorded decision was made again from its
    recorded facts, and gave the same. `words`, where asked for: the same in sentences."""

    purchase_id: str
    program_version: int
    points_earned: int
    judged: Facts
    explain: list[Explained]
    rounding: str
    verified: bool | None = None
    words: list[str] | None = None


class EventExplanation(Struct, frozen=True, omit_defaults=True):
    """Why an event earned what it did, as an `Explanation` says it of a purchase."""

    event_id: str
    type: str
    program_version: int
    points_earned: int
    judged: Facts
    explain: list[Explained]
    rounding: str
    verified: bool | None = None
    words: list[str] | None = None


RedemptionStatus = Literal["held", "captured", "released", "timed_out", "reversed"]


class RedemptionRecord(Struct, frozen=True, omit_defaults=True):
    """A redemption as it stands now. `points` and `amount` are what was captured, or what is or was held."""

    redemption_id: str
    member_id: str
    status: RedemptionStatus
    points: int
    amount: int
    occurred_at: datetime
    recorded_at: datetime
    until: datetime | None = None
    purchase_id: str | None = None
    points_reversed: int = 0


class LiabilityPart(Struct, frozen=True, omit_defaults=True):
    """Outstanding points of one tier, or of one month of expiry (`2026-12`; null: without a date)."""

    points: int
    amount: int
    tier: str | None = None
    month: str | None = None


class Liability(Struct, frozen=True):
    """What the retailer owes in points, and the sums that prove it.

    outstanding = sum of by_tier = sum of by_expiry + held; balance = outstanding - debt
    = issued + adjusted - redeemed - expired. `amount` is what the points are worth at the program's rate.
    """

    as_of: datetime
    currency: str
    members: int
    outstanding: int
    amount: int
    held: int
    debt: int
    balance: int
    issued: int
    redeemed: int
    expired: int
    adjusted: int
    by_tier: list[LiabilityPart]
    by_expiry: list[LiabilityPart]
    proven: bool
