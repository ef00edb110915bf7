"""What ran, and how it went: read by the API and by the command line."""

import secrets
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from loyalty import acts
from loyalty.db.sql import query
from loyalty.errors import FieldError, InvalidRequest
from loyalty.jobs.runner import Kind, bury_dead


async def recent_jobs(
    pool: asyncpg.Pool, kind: Kind | None, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Jobs, newest first, and the cursor of the next page. Raises InvalidRequest for a cursor that is none."""
    await bury_dead(pool)
    if cursor is not None and await pool.fetchrow(query("job_read"), cursor) is None:
        raise InvalidRequest(
            "The cursor is not one of ours: pass `next_cursor` as it came, or none.",
            errors=[FieldError("cursor", f"{cursor[:40]!r} is not a cursor")],
        )
    rows = await pool.fetch(query("job_list"), kind, cursor, limit + 1)
    jobs = [_fields(row) for row in rows[:limit]]
    return jobs, jobs[-1]["job_id"] if len(rows) > limit else None


async def read_one_job(pool: asyncpg.Pool, job_id: str) -> dict[str, Any] | None:
    """One job, with its `result` as JSON text or None. None: there is no job of this id."""
    await bury_dead(pool)
    row = await pool.fetchrow(query("job_read"), job_id)
    return None if row is None else _fields(row)


async def record_job(
    pool: asyncpg.Pool,
    kind: Kind,
    through: datetime,
    dry_run: bool,
    counts: dict[str, Any],
    seconds: float,
) -> None:
    """Keep a run that a command made, which took `seconds`, and the act that it was."""
    job_id, told = f"j-{secrets.token_hex(6)}", msgspec.json.encode(counts).decode()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(query("job_record"), job_id, kind, through, dry_run, told, seconds)
        await acts.note(connection, "job.started", job_id, kind=kind, dry_run=dry_run)


def _fields(row: asyncpg.Record) -> dict[str, Any]:
    fields = dict(row) | {"counts": msgspec.json.decode(row["counts"])}
    if fields["detail"] is None:
        del fields["detail"]
    return fields
