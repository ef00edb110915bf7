"""The recorded history of a range of accounts: one family after another, each in the order of recording.

A family is an account with those that were merged into it. Postings are read a few at a time, so that memory does not
grow with the history; only families that merged are held whole, because their postings have to be woven together.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple

from asyncpg import Connection

from loyalty.db.sql import query
from loyalty.engine.facts import merge_facts
from loyalty.members.vault import Vault

AT_ONCE = 1_000
"""Postings that are fetched together."""

Range = tuple[int, int, int]
"""Shard, first and last account."""


class Event(NamedTuple):
    """A posting as it was recorded, without its answer and hash."""

    account: int
    number: int
    kind: str
    id: str | None
    subject: str | None
    occurred_at: datetime
    recorded_at: datetime
    program_version: int
    facts: str | None


class Merging(NamedTuple):
    """Everything of one account goes into another."""

    account: int
    into: int
    recorded_at: datetime


class Stands(NamedTuple):
    """How an account stands in the ledger."""

    number: int
    seq: int
    lots: int
    balance: int
    held: int
    debt: int
    purchases: int
    tier: str | None
    tier_since: datetime | None
    tier_valid_until: datetime | None


class TierChange(NamedTuple):
    """A change of an account's tier, or its renewal. `reason`: `import` where the member brought it along."""

    account: int
    posting: int
    at: datetime
    tier: str
    previous: str | None
    reason: str
    valid_until: datetime | None


class Moved(NamedTuple):
    """What an account's entries of one kind add up to, in one stretch of time and one tier; without what was earned."""

    account: int
    kind: str
    stretch: int
    tier: str | None
    points: int


class Family:
    """An account and those that went into it.

    stands: by account. subjects: ids that later postings are about. status: of the owner. due_at: nothing falls due
    before it. changes: of tiers. moved: where it was asked for.
    """

    __slots__ = ("birthday", "changes", "due_at", "moved", "owner", "stands", "status", "subjects")

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.birthday: date | None = None
        self.stands: dict[int, Stands] = {}
        self.subjects: set[str] = set()
        self.status = "active"
        self.due_at: datetime | None = None
        self.changes: list[TierChange] = []
        self.moved: list[Moved] = []

    def brought(self, account: int, posting: int) -> TierChange:
        """The tier that a member brought along."""
        return next(
            change
            for change in self.changes
            if (change.account, change.posting, change.reason) == (account, posting, "import")
        )


Chunk = list[Event | Merging]


async def families(
    connection: Connection, where: Range, vault: Vault | None, edges: Sequence[datetime] | None = None
) -> AsyncIterator[tuple[Family, Chunk, bool]]:
    """The families of a range with their events, chunk by chunk; True with the last chunk of each.

    The connection must be in a transaction. vault: opens birthdays; None leaves them sealed and unread. edges: where
    the stretches begin by which what moved is added up; None: it is not.
    """
    known, gone = await _families(connection, where, vault, edges)
    woven: dict[int, dict[int, list[Event]]] = {
        owner: {account: [] for account in family.stands}
        for owner, family in known.items()
        if len(family.stands) > 1
    }
    for owner, shard, account in gone:
        rows = await connection.fetch(query("backtest_postings"), shard, account, account)
        woven[owner][account] = [Event._make(row) for row in rows]
    now: Family | None = None
    chunk: Chunk = []
    cursor = await connection.cursor(query("backtest_postings"), *where)
    while rows := await cursor.fetch(AT_ONCE):
        for event in map(Event._make, rows):
            account = event.account
            if now is None or now.owner != account:
                if account in woven:
                    woven[account][account].append(event)
                    continue
                if account not in known:
                    continue  # it went into another
                if now is not None:
                    yield now, chunk, True
                now, chunk = known[account], []
            chunk.append(event)
        if now is not None:
            yield now, chunk, False
            chunk = []
    if now is not None:
        yield now, chunk, True
    for owner, streams in woven.items():
        yield known[owner], list(weave(streams)), True


async def _families(
    connection: Connection, where: Range, vault: Vault | None, edges: Sequence[datetime] | None
) -> tuple[dict[int, Family], list[tuple[int, int, int]]]:
    """The families of a range by their owner, and (owner, shard, account) of each account that went into one."""
    found: dict[int, Family] = {}
    for row in await connection.fetch(query("backtest_heads"), *where):
        owner, _, account, due_at, status, birthday, *stands = row
        if owner == account:
            found[owner] = family = Family(owner)
            family.stands[account] = Stands._make(stands)
            family.birthday = _birthday(birthday, vault)
            family.status, family.due_at = status, due_at
    await _add_rows(connection, found, where, edges)
    gone = []
    for row in await connection.fetch(query("backtest_gone"), *where[1:]):
        owner, shard, account, _, _, birthday, *stands = row
        family = found[owner]
        family.stands[account] = Stands._make(stands)
        # What was known of the person went over with the merge.
        family.birthday = family.birthday or _birthday(birthday, vault)
        gone.append((owner, shard, account))
        await _add_rows(connection, {account: family}, (shard, account, account), edges)
    return found, gone


def _birthday(sealed: bytes | None, vault: Vault | None) -> date | None:
    return None if vault is None or sealed is None else vault.open_date(sealed)


async def _add_rows(
    connection: Connection, owners: dict[int, Family], where: Range, edges: Sequence[datetime] | None
) -> None:
    """What the accounts' postings are about, their changes of tier, and what moved."""
    for account, subject in await connection.fetch(query("backtest_subjects"), *where):
        if account in owners:
            owners[account].subjects.add(subject)
    for change in map(TierChange._make, await connection.fetch(query("backtest_tiers"), *where)):
        if change.account in owners:
            owners[change.account].changes.append(change)
    if edges is not None:
        for moved in map(Moved._make, await connection.fetch(query("backtest_moved"), *where, edges)):
            if moved.account in owners:
                owners[moved.account].moved.append(moved)


def weave(streams: dict[int, list[Event]]) -> Iterator[Event | Merging]:
    """The postings of accounts that merged, in the order in which they were recorded.

    A merge has a posting on either side, both recorded at one instant: it comes when all before it on both is done.
    """
    place = dict.fromkeys(streams, 0)
    going = {account for account, events in streams.items() if events}
    while going:
        heads = {account: streams[account][place[account]] for account in going}
        step = _next(heads)
        for account in (step.account, step.into) if isinstance(step, Merging) else (step.account,):
            place[account] += 1
            if place[account] == len(streams[account]):
                going.discard(account)
        yield step


def _next(heads: dict[int, Event]) -> Event | Merging:
    """The event that comes next, or the merge whose both sides do."""
    free = [event for event in heads.values() if event.kind != "merge" or _side(event) == "hold"]
    giving = [event for event in heads.values() if event.kind == "merge" and _side(event) == "out"]
    taking: dict[tuple[datetime, int], list[Event]] = defaultdict(list)
    for event in heads.values():
        if event.kind == "merge" and _side(event) == "in":
            taking[event.recorded_at, _points(event)].append(event)
    ready = [
        Merging(event.account, into.account, event.recorded_at)
        for event in giving
        for into in taking[event.recorded_at, _points(event)][:1]
    ]
    steps: list[Event | Merging] = [*free, *ready]
    assert steps, "a merge has both of its sides"
    return min(steps, key=lambda step: (step.recorded_at, step.account))


def _side(event: Event) -> str:
    return merge_facts(event.facts or "{}").direction


def _points(event: Event) -> int:
    return merge_facts(event.facts or "{}").points
