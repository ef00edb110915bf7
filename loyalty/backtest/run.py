"""The whole backtest: one snapshot, ranges of accounts over processes, one result. The ledger is only read."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

import msgspec
from asyncpg import Connection

from loyalty.backtest.history import Range
from loyalty.backtest.part import Part
from loyalty.backtest.report import Report
from loyalty.backtest.reporting import report_of
from loyalty.backtest.tally import Sums
from loyalty.backtest.worker import Frame, candidate_of, open_view, replay, replay_here, start_worker
from loyalty.db.sql import query
from loyalty.engine.programs import Programs, load_programs
from loyalty.errors import FieldError, InvalidRequest
from loyalty.ledger import store
from loyalty.members.vault import Vault
from loyalty.processes import Processes
from loyalty.program.parse import parse, same_frame

POSTINGS_AT_ONCE = 4_000
"""Postings of a range, unless one account has more: what one process works on between two signs of progress."""
BESIDE_TILLS = 10
"""Niceness of a process that works beside a server's tills."""
MOST_PASSES = 4
"""Replays until no budget is overrun."""

Progress = Callable[[float, str], None]
"""Takes the part that is done (0 to 1) and what was done."""


async def backtest(
    database_url: str,
    source: str | None,
    format: Literal["toml", "json"] = "toml",
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    vault: Vault | None = None,
    processes: int = 2,
    apart: bool = False,
    verify: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Replays the recorded history under a candidate program, beside what was in force, and says what would change.

    Reads one consistent state of the database, beside live traffic, and writes nothing. Memory is bounded by
    what is read at once and the largest family of merged accounts.

    Args:
        database_url: of a user who may read all tables.
        source: the candidate's file; None replays what was in force against itself.
        start: the candidate is in force from then on, and what occurred from then on is counted; None: always.
        end: what occurred from then on is left out; None, or later than now: now.
        vault: opens birthdays; needed if a program has birthday rules.
        processes: how many share the work; 1 does it in this one.
        apart: never in this one, and others go first: for a server that has tills to answer.
        verify: decide everything again under what was in force too, and compare that with the ledger; else what was in
            force is read from the ledger, but for a sample and for what fell due and is not posted yet.
        progress: called now and then.

    Raises:
        InvalidRequest: the candidate has errors, other tiers or another currency; or the period is empty.
        asyncpg.PostgresError, OSError: the database cannot be read.
        ProcessLostError: one of the processes was ended from outside.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        # They start while this one looks around.
        pool = None
        if processes > 1 or apart:
            pool = stack.enter_context(Processes(processes, start_worker, BESIDE_TILLS if apart else 0))
        connection = await open_view(database_url)
        try:
            programs = await load_programs(connection)
            if source is not None:
                check_candidate(programs, source, format)
            now = await store.ledger_now(connection)
            # Tills may be a little ahead.
            until = min(end, now) if end is not None else now + timedelta(minutes=5)
            if start is not None and start >= until:
                raise InvalidRequest(
                    "The period is empty: it starts when it is over, or in the future.",
                    errors=[FieldError("from", f"{start.isoformat()} is not before {until.isoformat()}")],
                )
            snapshot = await connection.fetchval("select pg_export_snapshot()")
            frame = Frame(
                database_url, snapshot, source, format, None if start is None else start.astimezone(UTC),
                await connection.fetchval("select coalesce(min(occurred_at), now()) from entry"), until.astimezone(UTC),
                end is None or end > now, verify or source is None, False, {},
                vault or Vault(),
            )  # fmt: skip
            ranges = await _ranges(connection)
            spread = partial(_spread, connection, programs, ranges, pool)
            part, frame, passes = await _passes(spread, frame, len(ranges), progress)
            members = await _names(connection, part)
        finally:
            await connection.close()
    seconds = time.monotonic() - began
    return report_of(part, programs, candidate_of(frame), frame, members, now, seconds, processes, passes)


def check_candidate(programs: Programs, source: str, format: Literal["toml", "json"]) -> None:
    """Refuses, as InvalidRequest with its diagnostics, a candidate that could not be put in force."""
    parsed = parse(source, format)
    found = [one for one in parsed.diagnostics if one.severity == "error"]
    if parsed.program is not None and programs.all:
        found += same_frame(programs.numbered(programs.newest).program, parsed.program)
    if found or parsed.program is None:
        raise InvalidRequest(
            "The program has errors, or other tiers or another currency than the one in force.",
            errors=[FieldError(one.key, one.message) for one in found],
            diagnostics=msgspec.to_builtins(found),
        )


async def _ranges(connection: Connection) -> list[Range]:
    ranges = []
    for shard in range(await store.shards(connection)):
        for row in await connection.fetch(query("backtest_ranges"), shard, POSTINGS_AT_ONCE):
            ranges.append((shard, row["first"], row["last"]))
    return ranges


async def _passes(
    spread: Callable[[Frame], AsyncIterator[Part]], frame: Frame, ranges: int, progress: Progress | None
) -> tuple[Part, Frame, int]:
    """Replays until no budget is overrun: all members share one, and each is replayed by himself.

    The first pass finds what members would have had of a budget, hour by hour. Where that is more than there was, the
    next pass closes the budget with the hour in which it ran out.
    """
    number = 0
    known: Sums | None = None
    while True:
        number += 1
        whole = Part()
        done = 0
        async for part in spread(frame):
            whole.add(part)
            done += 1
            if progress is not None:
                again = f" (pass {number}: a budget ran out)" if number > 1 else ""
                progress(done / ranges, f"{whole.purchases:,} purchases{again}")
        closed = _closed(frame, whole)
        if known is None:
            known = whole.now
        else:
            whole.now.gave, whole.now.returned = known.gave, known.returned
        if closed == frame.closed or number == MOST_PASSES:
            return whole, frame, number
        frame = msgspec.structs.replace(frame, closed=closed, again=True)


def _closed(frame: Frame, part: Part) -> dict[str, datetime]:
    """By rule, the hour in which its budget ran out."""
    candidate = candidate_of(frame)
    closed = dict(frame.closed)
    if candidate is None:
        return closed
    for rule in candidate.program.rules:
        if rule.limit is None or rule.limit.budget_points is None:
            continue
        used = 0
        for (name, hour), points in sorted(part.candidate.demand.items(), key=lambda item: item[0][1]):
            if name != rule.id:
                continue
            used += points
            if used > rule.limit.budget_points:
                at = datetime.fromtimestamp(hour * 3600, UTC)
                closed[rule.id] = min(closed.get(rule.id, at), at)
                break
    return closed


async def _spread(
    connection: Connection, programs: Programs, ranges: Sequence[Range], pool: Processes | None, frame: Frame
) -> AsyncIterator[Part]:
    """Replays all ranges, in the processes if there are any."""
    if pool is None:
        candidate = candidate_of(frame)
        for where in ranges:
            yield await replay(connection, frame, programs, candidate, where)
        return
    async for part in pool.share(replay_here, ((frame, where) for where in ranges)):
        yield part


async def _names(connection: Connection, part: Part) -> dict[int, str]:
    """The member ids of the accounts that the report names."""
    accounts = [member.account for _, _, member in (*part.winners, *part.losers)]
    accounts += [account for account, _ in part.different]
    rows = await connection.fetch(
        "select account, member_id from member where account = any ($1::bigint[])", accounts
    )
    return {row["account"]: row["member_id"] for row in rows}
