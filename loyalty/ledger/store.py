"""The ledger in Postgres: the only caller of its SQL. Every statement here is about one shard."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from asyncpg import Connection, Record

from loyalty.db.sql import query
from loyalty.ledger.rows import BudgetRow, CounterRow, HeadRow, TierRow
from loyalty.ledger.state import Head, Hold, Journal, OpenLot, UsedLot

RequestKey = tuple[str, str]
"""A request's kind (posting_kind) and id."""

Where = tuple[int, int]
"""Shard and account."""


class Recorded(NamedTuple):
    """A request that is in the ledger already. `account` is the one that a merged account went to."""

    shard: int
    account: int
    fingerprint: bytes | None
    answer: bytes


@dataclass(slots=True)
class Locked:
    """Accounts as they stand under their locks."""

    now: datetime
    program_version: int
    heads: dict[int, Head]
    lots: dict[int, list[OpenLot]]
    holds: dict[int, list[Hold]]
    counters: dict[int, list[CounterRow]]
    budgets: dict[str, int]
    found: dict[RequestKey, Recorded]


@dataclass(slots=True, frozen=True)
class Expired:
    """Of accounts that were to expire: how many lost points, how many points, and the others that were left alone."""

    accounts: int
    points: int
    others: list[int]


@dataclass(slots=True, frozen=True)
class SubjectPosting:
    """A posting that a request is about: a purchase, a redemption, or what was posted about one.

    `account` is the one that it was posted to, which may have been merged into another since.
    """

    account: int
    number: int
    kind: str
    id: str | None
    subject: str | None
    occurred_at: datetime
    recorded_at: datetime
    program_version: int
    qualifying_amount: int
    fingerprint: bytes | None
    facts: str
    answer: bytes | None


async def shards(connection: Connection) -> int:
    """How many shards this database was made with."""
    return int(await connection.fetchval("select shards from setting"))


async def ledger_now(connection: Connection) -> datetime:
    """The ledger's clock."""
    now = await connection.fetchval("select ledger_now()")
    assert isinstance(now, datetime)
    return now


async def find_requests(
    connection: Connection, shard_count: int, keys: Sequence[RequestKey]
) -> dict[RequestKey, Recorded]:
    """Those of the requests that are recorded."""
    rows = await connection.fetch(
        "select * from find_requests($1, $2, $3)",
        shard_count,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return _recorded(rows)


async def find(
    connection: Connection, shard_count: int, names: Sequence[tuple[str, str]], keys: Sequence[RequestKey]
) -> tuple[dict[tuple[str, str], Where], dict[RequestKey, Recorded]]:
    """The accounts of those of the names (scheme and value as they are kept) that somebody bears, and those of the
    requests that are recorded."""
    row = await connection.fetchrow(
        query("find"),
        shard_count,
        [name[0] for name in names],
        [name[1] for name in names],
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    assert row is not None
    places, shards, accounts, recorded = row
    owners = zip(places or (), shards or (), accounts or (), strict=True)
    return {names[place - 1]: (shard, account) for place, shard, account in owners}, _recorded(recorded or ())


async def lock_accounts(
    connection: Connection,
    shard: int,
    accounts: Mapping[int, bool],
    keys: Sequence[RequestKey],
    *,
    days: Collection[date] | None,
    wait: bool = True,
) -> Locked:
    """Locks accounts in order and reads them; the values of `accounts` tell whose open lots and holds are wanted.

    days: those whose use of limited rules is wanted; None: neither that nor any budget.
    wait: until others let go of those that they have locked. Else these are left out.
    """
    row = await connection.fetchrow(
        "select * from lock_accounts($1, $2, $3, $4, $5, $6, $7, $8)",
        shard,
        list(accounts),
        [account for account, loaded in accounts.items() if loaded],
        [key[0] for key in keys],
        [key[1] for key in keys],
        days is not None,
        days or (),
        wait,
    )
    assert row is not None
    lots: dict[int, list[OpenLot]] = defaultdict(list)
    for lot in row["lots"] or ():
        account, *fields = lot
        lots[account].append(OpenLot(*fields))
    holds = _holds(row["holds"] or (), row["hold_uses"] or ())
    heads = {head["account"]: Head(*head) for head in row["heads"] or ()}
    for account in row["whole"] or ():
        heads[account].loaded = True
    counted: dict[int, list[CounterRow]] = defaultdict(list)
    for counter in row["counters"] or ():
        counted[counter["account"]].append(CounterRow(*counter))
    return Locked(
        now=row["now"],
        program_version=row["program_version"] or 0,
        heads=heads,
        lots=lots,
        holds=holds,
        counters=counted,
        budgets={budget["rule"]: budget["points"] for budget in row["budgets"] or ()},
        found=_recorded(row["recorded"] or ()),
    )


async def read_accounts(connection: Connection, shard: int, accounts: Sequence[int]) -> Locked:
    """Accounts as they stand, with all open lots and holds, of one snapshot and without a lock."""
    rows = await connection.fetch("select * from read_accounts($1, $2)", shard, accounts)
    locked = Locked(await ledger_now(connection) if not rows else rows[0]["now"], 0, {}, {}, {}, {}, {}, {})
    for row in rows:
        head = Head(*row["head"])
        head.loaded = True
        locked.program_version = row["program_version"] or 0
        locked.heads[head.account] = head
        locked.lots[head.account] = [OpenLot(*tuple(lot)[1:]) for lot in row["lots"] or ()]
        locked.holds[head.account] = _holds(row["holds"] or (), row["hold_uses"] or ())[head.account]
    return locked


async def post(
    connection: Connection,
    shard: int,
    heads: Sequence[HeadRow],
    journal: Journal,
    counters: Sequence[CounterRow],
    budgets: Sequence[BudgetRow],
) -> None:
    """Writes what was decided about locked accounts, whole or not at all."""
    await connection.execute(
        "select post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        shard,
        heads,
        journal.postings,
        journal.entries,
        journal.lots,
        journal.uses,
        journal.tiers,
        journal.opened,
        journal.ended,
        counters,
        budgets,
    )


async def expire_lots(
    connection: Connection, shard: int, accounts: Sequence[int], through: datetime, *, dry_run: bool
) -> Expired:
    """Locks accounts and posts what their dated lots lose up to `through` (at most now), where nothing else is due."""
    row = await connection.fetchrow(
        "select * from expire_lots($1, $2, $3, $4)", shard, accounts, through, dry_run
    )
    assert row is not None
    return Expired(row["accounts"], int(row["points"]), row["others"] or [])


async def subjects(
    connection: Connection, shard: int, wanted: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], list[SubjectPosting]]:
    """For each (account, id): the purchase and the redemption of that id, and what was posted about them, in order."""
    rows = await connection.fetch(
        query("subjects"), shard, [account for account, _ in wanted], [subject for _, subject in wanted]
    )
    found: dict[tuple[int, str], list[SubjectPosting]] = {key: [] for key in wanted}
    for row in rows:
        owner, *fields = row
        posting = SubjectPosting(*fields)
        for id in {posting.id, posting.subject}:
            if id is not None and (owner, id) in found:
                found[owner, id].append(posting)
    return found


async def uses_of(
    connection: Connection, postings: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], list[UsedLot]]:
    """For each (account, posting number): the lots that it redeemed or held, in the order in which they were used."""
    rows = await connection.fetch(
        query("uses"), [account for account, _ in postings], [number for _, number in postings]
    )
    return _used_lots(rows)


async def qualifying(
    connection: Connection, shard: int, accounts: Sequence[int]
) -> dict[int, list[tuple[datetime, int]]]:
    """What counts for the accounts' tiers: (at, amount), in no order."""
    found: dict[int, list[tuple[datetime, int]]] = {account: [] for account in accounts}
    for row in await connection.fetch(query("qualifying"), shard, accounts):
        found[row["account"]].append((row["qualifying_at"], row["qualifying_amount"]))
    return found


async def tier_changes(
    connection: Connection, shard: int, accounts: Sequence[int]
) -> dict[int, list[TierRow]]:
    """The accounts' tier histories in the order of recording."""
    found: dict[int, list[TierRow]] = {account: [] for account in accounts}
    for row in await connection.fetch(query("tier_changes"), shard, accounts):
        found[row["account"]].append(TierRow(*row))
    return found


def _recorded(rows: Iterable[Record]) -> dict[RequestKey, Recorded]:
    """Rows of the SQL type found_request."""
    return {(row["kind"], row["id"]): Recorded(*tuple(row)[2:]) for row in rows}


def _holds(rows: Iterable[Record], used: Iterable[Record]) -> dict[int, list[Hold]]:
    uses = _used_lots(used)
    holds: dict[int, list[Hold]] = defaultdict(list)
    for row in rows:
        account, redemption_id, posting, points, until = row
        holds[account].append(Hold(redemption_id, posting, points, until, uses[account, posting]))
    return holds


def _used_lots(rows: Iterable[Record]) -> dict[tuple[int, int], list[UsedLot]]:
    """By account and posting; the rows come in the order of use."""
    found: dict[tuple[int, int], list[UsedLot]] = defaultdict(list)
    for row in rows:
        account, posting, *fields = row
        found[account, posting].append(UsedLot(*fields))
    return found
