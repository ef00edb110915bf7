"""Long work that ops start by hand, and how far it is."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from loyalty.api.auth import OPS
from loyalty.api.contract import call
from loyalty.api.reading import Call, context, in_path, read_optional_json
from loyalty.api.reply import Reply, reply
from loyalty.backtest.report import Report
from loyalty.db.sql import query
from loyalty.engine.validate import check_instant
from loyalty.errors import FutureTime, NotFound
from loyalty.jobs.runner import Kind, Status, bury_dead
from loyalty.types import Instant


class JobBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Up to which instant (default now); `dry_run` counts what would be done and writes nothing."""

    through: Instant | None = None
    dry_run: bool = False


class JobStarted(Struct, frozen=True):
    job_id: str


class JobAnswer(Struct, frozen=True):
    """How far a job is: `progress` from 0 to 1, `counts` of what was done so far; `result` of a backtest."""

    job_id: str
    kind: Kind
    status: Status
    through: datetime
    dry_run: bool
    progress: float
    counts: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    detail: str | UnsetType = UNSET
    result: Report | UnsetType = UNSET


_body = msgspec.json.Decoder(JobBody)
_report = msgspec.json.Decoder(Report)


@call(
    "POST",
    "/v1/jobs/expiry",
    roles=OPS,
    tag="Jobs",
    body=JobBody,
    body_required=False,
    example={"dry_run": True},
    answers={202: JobStarted},
    problems=(FutureTime,),
)
async def start_expiry(request: Call) -> Reply:
    """Post what has expired. One already under way: its id."""
    return await _start(request, "expiry")


@call(
    "POST",
    "/v1/jobs/tier-review",
    roles=OPS,
    tag="Jobs",
    body=JobBody,
    body_required=False,
    example={"dry_run": True},
    answers={202: JobStarted},
    problems=(FutureTime,),
)
async def start_tier_review(request: Call) -> Reply:
    """Post the tier verdicts that are due. One already under way: its id."""
    return await _start(request, "tier-review")


@call("GET", "/v1/jobs/{job_id:str}", roles=OPS, tag="Jobs", answers={200: JobAnswer}, problems=(NotFound,))
async def read_job(request: Call) -> Reply:
    """Read how far a job is."""
    pool = context(request).engine.pool
    await bury_dead(pool)
    row = await pool.fetchrow(query("job_read"), in_path(request, "job_id"))
    if row is None:
        raise NotFound("There is no job of this id.")
    fields = dict(row) | {"counts": msgspec.json.decode(row["counts"])}
    if fields["detail"] is None:
        del fields["detail"]
    result = fields.pop("result")
    if result is not None:
        fields["result"] = _report.decode(result)
    return reply(JobAnswer(**fields))


async def _start(request: Call, kind: Literal["expiry", "tier-review"]) -> Reply:
    body = await read_optional_json(request, _body)
    held = context(request)
    now = await held.engine.now()
    if body.through is not None:
        check_instant("through", body.through)
        if body.through > now:
            raise FutureTime(
                "`through` is ahead of the ledger's clock; what lies in the future is not due yet."
            )
    through, dry_run = body.through or now, body.dry_run
    post = held.engine.expire if kind == "expiry" else held.engine.review_tiers
    job_id = await held.jobs.start(
        kind, through, lambda note: post(through, dry_run, note.progressed), dry_run=dry_run
    )
    return reply(JobStarted(job_id), 202)


HANDLERS = (start_expiry, start_tier_review, read_job)
