"""What is read of a range of accounts: all of its rows, grouped by the posting that they belong to.

Instants are microseconds since 2000-01-01 (INSTANT_TO_1970 makes them the hashes' ones). The columns are those of
sql/queries/audit_*.sql, in their order.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from asyncpg import Connection

from loyalty.audit.copied import Copied, Row

_INSTANTS = {"at", "until", "tier_since", "tier_valid_until", "pending_until", "spendable_from"}
INSTANT_TO_1970 = 946_684_800_000_000

_HEADS = Copied("head", "q i i i q q q q i ? q ? q ? q ? q ? q ? q ? q ? q q i q", texts=4)
_POSTINGS = Copied("posting", "q i q q i q ? q 12s", texts=6)
_ENTRIES = Copied("entry", "q i i q q q q 12s 12s")
_LOTS = Copied("lot", "q i i i q q q q q ? ? q", texts=1)
_USES = Copied("use", "q i i i q q q 12s")
_TIERS = Copied("tier", "q i i q q q ? q ? q ? q", texts=3)
_OPEN_LOTS = Copied("open_lot", "q i i q q q ? ? q", texts=1)
_OPEN_HOLDS = Copied("open_hold", "q i q q", texts=1)
_INHERITED = Copied("inherited", "q q q")


class Head(NamedTuple):
    """The projection of an account."""

    account: int
    number: int
    seq: int
    lots: int
    balance: int
    held: int
    debt: int
    recorded_at: int
    purchases: int
    due_at: int | None
    pending_until: int | None
    active_at: int | None
    tier_since: int | None
    tier_valid_until: int | None
    tier_verdict_at: int | None
    tier_ground_at: int | None
    tier_judged_at: int | None
    spend_bound: int
    visits_bound: int
    bound_at: int
    hash: bytes
    tier: str | None
    status: str
    member_id: str | None


class Posting(NamedTuple):
    """`id` and `subject` are empty where they are null."""

    account: int
    number: int
    occurred_at: int
    recorded_at: int
    program_version: int
    qualifying_amount: int
    qualifying_at: int | None
    kind: str
    hash: bytes
    id: str
    subject: str
    fingerprint: bytes | None
    facts: bytes | None
    answer: bytes | None


class Entry(NamedTuple):
    account: int
    posting: int
    seq: int
    points: int
    balance_after: int
    occurred_at: int
    recorded_at: int
    kind: str
    counter: str


class Lot(NamedTuple):
    """`expires_at` None: never, or with the account's activity if `idle`."""

    account: int
    posting: int
    lot: int
    origin: int
    points: int
    earned_at: int
    spendable_from: int
    occurred_at: int
    recorded_at: int
    idle: bool
    expires_at: int | None
    purchase_id: str


class Use(NamedTuple):
    account: int
    posting: int
    ordinal: int
    lot: int
    points: int
    occurred_at: int
    recorded_at: int
    purpose: str


class Tier(NamedTuple):
    account: int
    posting: int
    ordinal: int
    at: int
    since: int
    recorded_at: int
    valid_until: int | None
    verdict_at: int | None
    ground_at: int | None
    tier: str
    previous: str
    reason: str


Made = Entry | Lot | Use | Tier
"""A row that a posting made."""


class OpenLot(NamedTuple):
    account: int
    lot: int
    origin: int
    remaining: int
    earned_at: int
    spendable_from: int
    idle: bool
    expires_at: int | None
    purchase_id: str


class OpenHold(NamedTuple):
    account: int
    posting: int
    points: int
    until: int
    redemption_id: str


class Moved:
    """The rows that a posting made, each kind in the order in which the hash takes it."""

    __slots__ = ("entries", "lots", "tiers", "uses")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.lots: list[Lot] = []
        self.uses: list[Use] = []
        self.tiers: list[Tier] = []

    def rows(self) -> Iterator[Made]:
        """All of them."""
        yield from self.entries
        yield from self.lots
        yield from self.uses
        yield from self.tiers


class Range:
    """All rows of the accounts of a shard from one number to another. `moved` is by account and posting."""

    def __init__(self) -> None:
        self.heads: dict[int, Head] = {}
        self.postings: list[Posting] = []
        self.moved: defaultdict[tuple[int, int], Moved] = defaultdict(Moved)
        self.open_lots: dict[int, list[OpenLot]] = {}
        self.open_holds: dict[int, list[OpenHold]] = {}
        self.inherited: dict[int, list[tuple[int, int]]] = {}
        """When, and the amount that counts for the tier of whom the account was merged into."""

    def accounts(self) -> Iterator[tuple[int, list[Posting]]]:
        """Every account that a row names, in order, with its postings."""
        by_account = {key: list(rows) for key, rows in groupby(self.postings, itemgetter(0))}
        named = {*self.heads, *by_account, *(key[0] for key in self.moved), *self.open_lots, *self.open_holds}
        for account in sorted(named):
            yield account, by_account.get(account, [])


def shown(name: str, value: object) -> str:
    """A column's value for people: instants as such, hashes in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and (name.endswith("_at") or name in _INSTANTS):
        try:
            return (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)).isoformat()
        except OverflowError:
            return "infinite"
    return "empty" if value is None else str(value)


async def read_range(connection: Connection, shard: int, first: int, last: int) -> Range:
    """Reads the accounts from `first` to `last`, both included."""
    there = Range()
    where = (shard, first, last)
    there.heads = {row[0]: _head(row) for row in await _HEADS.read(connection, *where)}
    there.postings = [_posting(row) for row in await _POSTINGS.read(connection, *where)]
    moved = there.moved
    for row in await _ENTRIES.read(connection, *where):
        entry = Entry._make((*row[:7], _name(row[7]), _name(row[8])))
        moved[row[:2]].entries.append(entry)
    for row in await _LOTS.read(connection, *where):
        lot = Lot._make((*row[:10], None if row[10] else row[11], (row[12] or b"").decode()))
        moved[row[:2]].lots.append(lot)
    for row in await _USES.read(connection, *where):
        use = Use._make((*row[:7], _name(row[7])))
        moved[row[:2]].uses.append(use)
    for row in await _TIERS.read(connection, *where):
        moved[row[:2]].tiers.append(_tier(row))
    for row in await _OPEN_LOTS.read(connection, *where):
        open_lot = OpenLot._make((*row[:7], None if row[7] else row[8], (row[9] or b"").decode()))
        there.open_lots.setdefault(row[0], []).append(open_lot)
    for row in await _OPEN_HOLDS.read(connection, *where):
        there.open_holds.setdefault(row[0], []).append(OpenHold._make((*row[:4], row[4].decode())))
    for account, at, amount in await _INHERITED.read(connection, *where):
        there.inherited.setdefault(account, []).append((at, amount))
    return there


@cache
def _name(padded: bytes) -> str:
    """An enumerated name; there are few."""
    return padded.rstrip().decode()


def _head(row: Row) -> Head:
    instants = (None if row[at] else row[at + 1] for at in range(9, 25, 2))
    digest, tier, status, member_id = row[28:]
    return Head._make(
        (*row[:9], *instants, *row[25:28], digest, _text(tier), status.decode(), _text(member_id))
    )


def _posting(row: Row) -> Posting:
    account, number, at, known_at, version, amount, never, qualifying_at, kind, digest, id, subject, *rest = (
        row
    )
    return Posting(
        account, number, at, known_at, version, amount, None if never else qualifying_at, _name(kind), digest,
        "" if id is None else id.decode(), "" if subject is None else subject.decode(), *rest,
    )  # fmt: skip


def _tier(row: Row) -> Tier:
    instants = (None if row[at] else row[at + 1] for at in range(6, 12, 2))
    tier, previous, reason = row[12:]
    return Tier._make((*row[:6], *instants, tier.decode(), _text(previous) or "", reason.decode()))


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode()
