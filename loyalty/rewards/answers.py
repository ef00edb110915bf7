"""What is answered about rewards, their stock, their vouchers, and what became of them, as values."""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from loyalty.rewards.model import RewardKind, RewardTerms


class Reward(Struct, frozen=True):
    """A reward in its newest version. `stock`: units left, null without end; `open`: it can be claimed today.

    `affordable`, where a member is asked about: the member has the points now.
    """

    reward_id: str
    version: int
    terms: RewardTerms
    stock: int | None
    open: bool
    affordable: bool | UnsetType = UNSET


class Rewards(Struct, frozen=True):
    """The catalogue; of a member, what may be claimed today."""

    rewards: list[Reward]


class StockMove(Struct, frozen=True):
    """Units that came into stock, or left it; `stock` is what there was afterwards."""

    stock_id: str
    reward_id: str
    units: int
    stock: int
    reason: str | None
    recorded_at: datetime


class VoucherRecord(Struct, frozen=True):
    """A voucher as it stands: `open`, `used`, `cancelled` or `expired`."""

    code: str
    status: Literal["open", "used", "cancelled", "expired"]
    claim_id: str
    member_id: str
    reward_id: str
    name: str
    kind: RewardKind
    points: int
    amount: int | None
    claimed_at: datetime
    valid_until: datetime | None
    used_at: datetime | None
    use_id: str | None
    purchase_id: str | None


class Vouchers(Struct, frozen=True):
    """A member's vouchers, newest first."""

    vouchers: list[VoucherRecord]


class VoucherUse(Struct, frozen=True):
    """A voucher was used: hand over what it is for."""

    code: str
    use_id: str
    reward_id: str
    name: str
    kind: RewardKind
    amount: int | None
    purchase_id: str | None
    used_at: datetime


class RewardFigures(Struct, frozen=True):
    """One reward's claims: claims = open + used + cancelled + expired.

    `points` were paid for those that were not cancelled; `amount` is what the used vouchers of a cash reward took off.
    `stock`: units left now, null without end.
    """

    reward_id: str
    name: str
    kind: RewardKind
    stock: int | None
    claims: int
    open: int
    used: int
    cancelled: int
    expired: int
    points: int
    amount: int


class RewardReport(Struct, frozen=True):
    """Every reward, and what has become by `as_of` of its claims made in the time from `from` up to `until`."""

    as_of: datetime
    from_: datetime | None = field(name="from")
    until: datetime | None
    rewards: list[RewardFigures]
