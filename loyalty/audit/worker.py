"""One of the audit's processes: its own connection, which sees the ledger as of the snapshot that all of them share."""

import asyncio
from collections.abc import Sequence

from asyncpg import Connection
from msgspec import Struct

from loyalty.audit.check import check_range
from loyalty.audit.findings import Part
from loyalty.audit.rows import read_range
from loyalty.audit.terms import Terms, Version
from loyalty.db.connect import connect_owner
from loyalty.processes import ready

Range = tuple[int, int, int]
"""Shard, first and last account."""


class Frame(Struct, frozen=True):
    """What every process needs to know. `snapshot`: exported by a transaction that outlives them."""

    database_url: str
    snapshot: str
    versions: Sequence[Version]


class _Process:
    loop: asyncio.AbstractEventLoop
    frame: Frame
    terms: Terms
    connection: Connection | None = None


async def open_view(database_url: str, snapshot: str | None = None) -> Connection:
    """A connection in a transaction that reads one state of the database for as long as it lasts."""
    connection = await connect_owner(database_url, application_name="loyalty audit")
    await connection.execute("begin isolation level repeatable read, read only")
    if snapshot is not None:
        await connection.execute(f"set transaction snapshot '{snapshot}'")
    await connection.execute("set local jit = off; set local idle_in_transaction_session_timeout = 0")
    return connection


async def check(connection: Connection, terms: Terms, where: Range) -> Part:
    """Reads and checks one range."""
    return check_range(await read_range(connection, *where), terms)


def start(frame: Frame) -> None:
    """Readies this process."""
    _Process.loop = ready()
    _Process.frame = frame
    _Process.terms = Terms(frame.versions)


def check_here(where: Range) -> Part:
    """Reads and checks one range in this process."""
    return _Process.loop.run_until_complete(_check(where))


async def _check(where: Range) -> Part:
    # Connected only now: an error here comes back with the range, one in `start` would only break the pool.
    if _Process.connection is None:
        _Process.connection = await open_view(_Process.frame.database_url, _Process.frame.snapshot)
    return await check(_Process.connection, _Process.terms, where)
