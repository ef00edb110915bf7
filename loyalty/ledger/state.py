"""What an account is in memory: its head, open lots and holds, and the rows that are being posted."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import Struct

from loyalty.ledger.rows import EndedHold, EntryRow, HoldRow, LotRow, PostingRow, TierRow, UseRow

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Sorts after every expiry."""


class OpenLot(Struct):
    """Points of one grant that are still there. `expires_at` None: never, or with the account's activity if `idle`."""

    lot: int
    origin: int
    remaining: int
    earned_at: datetime
    spendable_from: datetime
    expires_at: datetime | None
    idle: bool
    purchase_id: str | None


class UsedLot(Struct, frozen=True):
    """Points that were used, with the life that they go back to when they are given back. As the SQL type used_lot."""

    lot: int
    origin: int
    points: int
    earned_at: datetime
    spendable_from: datetime
    expires_at: datetime | None
    idle: bool
    purchase_id: str | None


class Hold(Struct):
    redemption_id: str
    posting: int
    points: int
    until: datetime
    uses: list[UsedLot]


class Estate(Struct, frozen=True):
    """All that an account has, on its way into another."""

    points: int
    debt: int
    lots: list[UsedLot]
    holds: list[Hold]


class Head(Struct):
    """An account's head as it was locked. `loaded`: all open lots and holds came with it; else the lots that
    are pending, and before a first activity the idle ones."""

    account: int
    status: str
    merged_into: int | None
    member_id: str
    number: int
    seq: int
    lots: int
    balance: int
    held: int
    debt: int
    hash: bytes
    recorded_at: datetime
    due_at: datetime | None
    pending_until: datetime | None
    active_at: datetime | None
    purchases: int
    tier: str | None
    tier_since: datetime | None
    tier_valid_until: datetime | None
    tier_verdict_at: datetime | None
    tier_ground_at: datetime | None
    tier_judged_at: datetime | None
    spend_bound: int
    visits_bound: int
    bound_at: datetime
    loaded: bool = False


@dataclass(slots=True)
class Journal:
    """The rows of a batch, in the order in which they were decided."""

    postings: list[PostingRow] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    lots: list[LotRow] = field(default_factory=list)
    uses: list[UseRow] = field(default_factory=list)
    tiers: list[TierRow] = field(default_factory=list)
    opened: list[HoldRow] = field(default_factory=list)
    ended: list[EndedHold] = field(default_factory=list)

    def clear(self) -> None:
        """Forgets all rows."""
        self.postings.clear()
        self.entries.clear()
        self.lots.clear()
        self.uses.clear()
        self.tiers.clear()
        self.opened.clear()
        self.ended.clear()


class Posting(Struct, frozen=True):
    """The posting under way, and where its rows begin in the journal."""

    kind: str
    id: str | None
    subject: str | None
    occurred_at: datetime
    program_version: int
    entries: int
    lots: int
    uses: int
    tiers: int
