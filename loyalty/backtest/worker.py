"""One of a backtest's processes: its own connection, on the snapshot that all of them share."""

import asyncio
import gc
import os
from datetime import datetime

from asyncpg import Connection
from msgspec import Struct

from loyalty.backtest.history import Range, families
from loyalty.backtest.part import Comparison, Part
from loyalty.backtest.sides import Side
from loyalty.backtest.tally import Period
from loyalty.db.connect import connect_owner
from loyalty.engine.programs import Programs, ProgramVersion, compiled, load_programs
from loyalty.members.vault import Vault
from loyalty.processes import ready


class Frame(Struct, frozen=True):
    """What every process needs to know. `snapshot`: exported by a transaction that outlives them.

    source, format: of the candidate; None: what was in force is replayed against itself. first: nothing occurred before
    it. verify: decide all again under what was in force. again: not the first pass.
    """

    database_url: str
    snapshot: str
    source: str | None
    format: str
    start: datetime | None
    first: datetime
    end: datetime
    check: bool
    verify: bool
    again: bool
    closed: dict[str, datetime]
    vault: Vault


class _Process:
    loop: asyncio.AbstractEventLoop
    connection: Connection | None = None
    programs: Programs
    candidate: ProgramVersion | None


async def open_view(database_url: str, snapshot: str | None = None) -> Connection:
    """A connection in a transaction that reads one state of the database for as long as it lasts."""
    connection = await connect_owner(database_url, application_name="loyalty backtest")
    await connection.execute("begin isolation level repeatable read, read only")
    if snapshot is not None:
        await connection.execute(f"set transaction snapshot '{snapshot}'")
    await connection.execute(
        "set local jit = off; set local idle_in_transaction_session_timeout = 0;"
        # Ranges are read by their keys; a database without statistics would scan everything for each.
        " set local enable_seqscan = off; set local enable_bitmapscan = off;"
        " set local plan_cache_mode = force_custom_plan"
    )
    return connection


def candidate_of(frame: Frame) -> ProgramVersion | None:
    """The candidate, compiled."""
    if frame.source is None:
        return None
    return compiled(0, frame.end, frame.source, frame.format, None, None, frame.end)


async def replay(
    connection: Connection,
    frame: Frame,
    programs: Programs,
    candidate: ProgramVersion | None,
    where: Range,
) -> Part:
    """Reads and replays one range."""
    now = Side(programs)
    tried = Side(programs, candidate, frame.start, frame.closed)
    before, after = programs.at(frame.end), tried.programs.at(frame.end)
    rates = [version.program.redemption for version in (before, after)]
    worth = None
    if rates[0] is not None and rates[1] is not None:
        worth = (rates[0].points, rates[0].amount), (rates[1].points, rates[1].amount)
    period = Period(frame.start, frame.end, after.calendar, frame.first)
    comparison = Comparison(
        now, tried, period, worth, check=frame.check, verify=frame.verify, again=frame.again
    )
    versions = [*programs.all] if candidate is None else [*programs.all, candidate]
    vault = frame.vault if any(version.needs.birthday for version in versions) else None
    edges = None if comparison.verify else period.stretches().edges
    async for family, events, last in families(connection, where, vault, edges):
        comparison.take(family, events, last=last)
    return comparison.part


def start_worker(niceness: int) -> None:
    """Readies this process. niceness: 0 to 19, how readily others go first."""
    _Process.loop = ready()
    os.nice(niceness)


def replay_here(piece: tuple[Frame, Range]) -> Part:
    """Replays one range in this process."""
    part = _Process.loop.run_until_complete(_replay(*piece))
    gc.collect()
    return part


async def _replay(frame: Frame, where: Range) -> Part:
    # Connected only now: an error here comes back with the range, one in `start` would only break the pool.
    process = _Process
    if process.connection is None:
        process.connection = await open_view(frame.database_url, frame.snapshot)
        process.programs = await load_programs(process.connection)
        process.candidate = candidate_of(frame)
        gc.freeze()  # what is there by now stays, and need not be looked through after each range
    return await replay(process.connection, frame, process.programs, process.candidate, where)
