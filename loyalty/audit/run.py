"""The whole audit: one snapshot, ranges of accounts over processes, the checks in SQL, one result."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from typing import Any

import asyncpg
from asyncpg import Connection

from loyalty.audit.copied import Copied
from loyalty.audit.findings import Finding, Findings, Part, Totals
from loyalty.audit.terms import Terms, Version, check_versions
from loyalty.audit.worker import Frame, Range, check, check_here, open_view, start
from loyalty.db.sql import folder, query
from loyalty.processes import LOST, ProcessLostError

ROWS_AT_ONCE = 20_000
"""Postings, entries and lots that a process holds in memory, unless one account has more."""

BY_ACCOUNT = {"heads", "open_lots", "open_holds"}
"""Checks of sql/checks, for people to run by hand, that the processes make too, account by account and of more."""

Progress = Callable[[float, str], None]
"""Takes the part that is done (0 to 1) and what was done."""

Whole = tuple[list[Finding], str]
"""What takes the ledger as a whole: findings, and the digest."""

_DIGEST = Copied("digest", "q", texts=1)
_LEAST, _MOST = -(2**63), 2**63 - 1


async def audit(database_url: str, *, processes: int = 2, progress: Progress | None = None) -> Findings:
    """Recomputes every chain, balance, lot, hold and tier from the immutable rows, and names each row that differs.

    Reads one consistent state of the database, beside live traffic, and writes nothing. Memory is bounded by
    ROWS_AT_ONCE and the largest account.

    Args:
        database_url: of a user who may read all tables.
        processes: how many share the work; 1 does it in this one.
        progress: called now and then.

    Raises:
        asyncpg.PostgresError, OSError: the database cannot be read.
        ProcessLostError: one of the processes was ended from outside.
    """
    began = time.monotonic()
    connection = await open_view(database_url)
    try:
        snapshot = await connection.fetchval("select pg_export_snapshot()")
        found = Findings([], 0, Totals())
        versions = await _read_versions(connection, found)
        frame = Frame(database_url, snapshot, versions)
        ranges = await _ranges(connection)
        if processes > 1 and len(ranges) > 1:
            whole = asyncio.create_task(_check_whole(connection, versions))
            parts = _spread(frame, ranges, min(processes, len(ranges)), whole)
        else:
            whole = None
            parts = _here(connection, Terms(versions), ranges)
        done = 0
        try:
            async for part in parts:
                found.add(part.rows, part.count)
                found.totals.add(part.totals)
                done += 1
                if progress is not None:
                    progress(done / len(ranges), f"{found.totals.postings:,} postings")
            rows, found.digest = await (whole or _check_whole(connection, versions))
        finally:
            if whole is not None:
                whole.cancel()
        named = {(row.account, row.table, row.key) for row in found.rows}
        rows = [row for row in rows if (row.account, row.table, row.key) not in named]
        found.add(rows, len(rows))
    finally:
        await connection.close()
    found.seconds = time.monotonic() - began
    return found


async def _read_versions(connection: Connection, found: Findings) -> list[Version]:
    """The program's versions, checked."""
    versions = [Version(*row) for row in await connection.fetch(query("audit_programs"))]
    findings: list[Finding] = []

    def report(version: int, message: str) -> None:
        findings.append(Finding(None, None, "program_version", f"version={version}", message))

    check_versions(versions, report)
    found.add(findings, len(findings))
    return versions


async def _ranges(connection: Connection) -> list[Range]:
    """All account numbers of all shards, also those without a row in `account`, cut where the work is about even."""
    ranges = []
    for shard in range(await connection.fetchval("select shards from setting")):
        rows = await connection.fetch(query("audit_ranges"), shard, ROWS_AT_ONCE)
        firsts = [_LEAST, *(row["first"] for row in rows[1:])]
        lasts = [*(first - 1 for first in firsts[1:]), _MOST]
        ranges += [(shard, first, last) for first, last in zip(firsts, lasts, strict=True)]
    return ranges


async def _here(connection: Connection, terms: Terms, ranges: Sequence[Range]) -> AsyncIterator[Part]:
    for where in ranges:
        yield await check(connection, terms, where)


async def _spread(
    frame: Frame, ranges: Sequence[Range], processes: int, whole: asyncio.Task[Whole]
) -> AsyncIterator[Part]:
    """The parts as they come. If `whole` fails, so does this, with its error: it holds the snapshot of all. Of several
    errors that of the first range is told: a process whose connection it broke fails with the next, too."""
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=start, initargs=(frame,)
    )
    try:
        # A few ranges ahead, so that no process waits and no result piles up.
        under_way: list[asyncio.Future[Part]] = []
        left = iter(ranges)
        while True:
            for where in left:
                under_way.append(loop.run_in_executor(pool, check_here, where))
                if len(under_way) > 2 * processes:
                    break
            if not under_way:
                return
            watched: list[asyncio.Future[Any]] = under_way if whole.done() else [*under_way, whole]
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if whole.done():
                whole.result()
            done = [part for part in under_way if part.done()]
            under_way = [part for part in under_way if part not in done]
            for part in done:
                yield await _first_error(part, whole)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


async def _first_error(part: asyncio.Future[Part], whole: asyncio.Task[Whole]) -> Part:
    """A part; where it failed because the snapshot had gone with `whole`, the error of that."""
    try:
        return part.result()
    except BrokenExecutor:
        raise ProcessLostError(LOST) from None
    except asyncpg.PostgresError:
        await asyncio.wait({whole}, timeout=1)
        if whole.done():
            whole.result()
        raise


async def _check_whole(connection: Connection, versions: Sequence[Version]) -> Whole:
    """The checks that take the ledger as a whole (sql/checks), and the digest of all the chains' last hashes."""
    findings = []
    for path in sorted((folder() / "checks").glob("*.sql")):
        if path.stem in BY_ACCOUNT:
            continue
        for row in await connection.fetch(path.read_text(encoding="utf-8")):
            findings.append(Finding(row["account"], None, row["table"], row["key"], row["message"]))
    digest = sha256()
    for version in versions[-1:]:
        digest.update(version.version.to_bytes(8, "big") + version.hash)
    for account, last_hash in await _DIGEST.read(connection):
        digest.update(account.to_bytes(8, "big") + last_hash)
    return findings, digest.hexdigest()
