"""The whole audit: one snapshot, ranges of accounts over processes, the checks in SQL, one result."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context

from asyncpg import Connection

from loyalty.audit.copied import Copied
from loyalty.audit.findings import Finding, Findings, Part, Totals
from loyalty.audit.worker import Frame, Range, check, check_here, open_view, start
from loyalty.db.sql import folder, query
from loyalty.program.parse import parse

ROWS_AT_ONCE = 20_000
"""Postings, entries and lots that a process holds in memory, unless one account has more."""

Progress = Callable[[float, str], None]
"""Takes the part that is done (0 to 1) and what was done."""

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
    """
    began = time.monotonic()
    connection = await open_view(database_url)
    try:
        snapshot = await connection.fetchval("select pg_export_snapshot()")
        found = Findings([], 0, Totals())
        ranks, versions = await _check_versions(connection, found)
        frame = Frame(database_url, snapshot, ranks, versions)
        ranges = await _ranges(connection)
        if processes > 1 and len(ranges) > 1:
            whole = asyncio.create_task(_check_whole(connection))
            parts = _spread(frame, ranges, min(processes, len(ranges)))
        else:
            whole = None
            parts = _here(connection, frame, ranges)
        done = 0
        try:
            async for part in parts:
                found.add(part.rows, part.count)
                found.totals.add(part.totals)
                done += 1
                if progress is not None:
                    progress(done / len(ranges), f"{found.totals.postings:,} postings")
            rows, found.digest = await (whole or _check_whole(connection))
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


async def _check_versions(connection: Connection, found: Findings) -> tuple[dict[str, int], int]:
    """Checks the program's versions. Returns the newest one's tiers, lowest first, and how many versions there are."""
    rows = await connection.fetch(query("audit_programs"))
    findings: list[Finding] = []

    def report(version: int, message: str) -> None:
        findings.append(Finding(None, None, "program_version", f"version={version}", message))

    ranks: dict[str, int] = {}
    before = None
    for row in rows:
        version = row["version"]
        for missing in range(1 if before is None else before["version"] + 1, version):
            report(missing, "is missing")
        if before is not None and row["recorded_at"] < before["recorded_at"]:
            report(version, "was recorded before the version that it follows")
        program = parse(row["source"], row["format"]).program
        if program is None:
            report(version, "cannot be read as a program")
        else:
            ranks = {tier.id: place for place, tier in enumerate(program.tiers)}
        before = row
    found.add(findings, len(findings))
    return ranks, max((row["version"] for row in rows), default=0)


async def _ranges(connection: Connection) -> list[Range]:
    """All account numbers of all shards, also those without a row in `account`, cut where the work is about even."""
    ranges = []
    for shard in range(await connection.fetchval("select shards from setting")):
        rows = await connection.fetch(query("audit_ranges"), shard, ROWS_AT_ONCE)
        firsts = [_LEAST, *(row["first"] for row in rows[1:])]
        lasts = [*(first - 1 for first in firsts[1:]), _MOST]
        ranges += [(shard, first, last) for first, last in zip(firsts, lasts, strict=True)]
    return ranges


async def _here(connection: Connection, frame: Frame, ranges: Sequence[Range]) -> AsyncIterator[Part]:
    for where in ranges:
        yield await check(connection, frame, where)


async def _spread(frame: Frame, ranges: Sequence[Range], processes: int) -> AsyncIterator[Part]:
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=start, initargs=(frame,)
    )
    try:
        # A few ranges ahead, so that no process waits and no result piles up.
        under_way: set[asyncio.Future[Part]] = set()
        left = iter(ranges)
        while True:
            for where in left:
                under_way.add(loop.run_in_executor(pool, check_here, where))
                if len(under_way) > 2 * processes:
                    break
            if not under_way:
                return
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                yield part.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


async def _check_whole(connection: Connection) -> tuple[list[Finding], str]:
    """The checks that take the ledger as a whole (sql/checks), and the digest of all accounts' last hashes."""
    findings = []
    for path in sorted((folder() / "checks").glob("*.sql")):
        for row in await connection.fetch(path.read_text(encoding="utf-8")):
            findings.append(Finding(row["account"], None, row["table"], row["key"], row["message"]))
    digest = sha256()
    for account, last_hash in await _DIGEST.read(connection):
        digest.update(account.to_bytes(8, "big") + last_hash)
    return findings, digest.hexdigest()
