"""The ledger's rows as tuples, in the order of the SQL row types in sql/migrations/0003_row_types.sql."""

from datetime import date, datetime
from typing import NamedTuple


class PostingRow(NamedTuple):
    """What happened to an account: a request, or something that was due. Immutable."""

    account: int
    number: int
    kind: str
    id: str | None
    subject: str | None
    occurred_at: datetime
    recorded_at: datetime
    program_version: int
    qualifying_at: datetime | None
    qualifying_amount: int
    fingerprint: bytes | None
    facts: str | None
    answer: bytes | None
    hash: bytes


class EntryRow(NamedTuple):
    """Points moved between the account and a program account. `points` is signed and never 0. Immutable."""

    account: int
    seq: int
    posting: int
    kind: str
    points: int
    balance_after: int
    occurred_at: datetime
    recorded_at: datetime


class LotRow(NamedTuple):
    """Points of one grant that share a life. `origin` is the lot that these points were first granted as. Immutable."""

    account: int
    lot: int
    posting: int
    origin: int
    points: int
    earned_at: datetime
    spendable_from: datetime
    expires_at: datetime | None
    idle: bool
    purchase_id: str | None
    occurred_at: datetime
    recorded_at: datetime


class UseRow(NamedTuple):
    """Points of a lot used by a posting, numbered 1..n in the order of use. Immutable."""

    account: int
    posting: int
    ordinal: int
    lot: int
    purpose: str
    points: int
    occurred_at: datetime
    recorded_at: datetime


class TierRow(NamedTuple):
    """A change of tier, or its renewal. Immutable."""

    account: int
    posting: int
    ordinal: int
    at: datetime
    tier: str
    previous: str | None
    reason: str
    since: datetime
    valid_until: datetime | None
    verdict_at: datetime | None
    ground_at: datetime | None
    recorded_at: datetime


class HoldRow(NamedTuple):
    """An open hold. Its immutable record is the posting that took it."""

    account: int
    redemption_id: str
    posting: int
    points: int
    until: datetime


class EndedHold(NamedTuple):
    account: int
    redemption_id: str


class CounterRow(NamedTuple):
    """What is added to a member's use of a limited rule; `day` is EVER for the count over all time."""

    account: int
    rule: str
    day: date
    times: int
    points: int


class BudgetRow(NamedTuple):
    """What is added to a rule's budget, of which at most `most` may be used."""

    rule: str
    points: int
    most: int


class HeadRow(NamedTuple):
    """An account's head after what was decided; `was_number` is the number of its last posting before."""

    account: int
    was_number: int
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


EVER = date(1, 1, 1)
"""The day of a counter that counts over all time."""
