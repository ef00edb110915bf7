"""What the engine answers, as values. Encoded once, stored with the posting, and given again byte for byte."""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType
from msgspec.json import Encoder

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


class Explained(Struct, frozen=True):
    """One rule's exact share (of one line). `points` is a decimal where it ends, else a fraction."""

    rule: str
    points: str
    line: int | UnsetType = UNSET
    note: str | UnsetType = UNSET


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


class Quote(Receipt, frozen=True, kw_only=True):
    """The receipt that a purchase would get, and the most points that may be redeemed on it. Nothing is written."""

    max_points: int
