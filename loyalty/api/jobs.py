"""Long work that ops start by hand, and how far it is."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, Struct, UnsetType

from loyalty.api.auth import OPS, Handler
from loyalty.api.contract import call
from loyalty.api.reading import PAGE_BEFORE, Call, PageLimit, context, in_path, read_optional_json, read_query
from loyalty.api.reply import Reply, reply
from loyalty.backtest.report import Report
from loyalty.engine.validate import check_instant
from loyalty.errors import FutureTime, NotFound
from loyalty.jobs.history import read_one_job, recent_jobs
from loyalty.jobs.runner import Kind, Status
from loyalty.jobs.work import work_of
from loyalty.schedule import ScheduledKind
from loyalty.types import Instant


class JobBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Up to which instant (default now); `dry_run` counts what would be done and writes nothing."""

    through: Instant | None = None
    dry_run: bool = False


class JobStarted(Struct, frozen=True):
    job_id: str


class JobAnswer(Struct, frozen=True):
    """How far a job is: `progress` from 0 to 1, `counts` of what was done so far; `result` of a backtest. `slot` is the
    instant at which a scheduled run was to begin; null when somebody started it by hand."""

    job_id: str
    kind: Kind
    status: Status
    through: datetime
    slot: datetime | None
    dry_run: bool
    progress: float
    counts: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    detail: str | UnsetType = UNSET
    result: Report | UnsetType = UNSET


class JobList(Struct, frozen=True):
    """Jobs, newest first, without results. `next_cursor` asks for those before; null: there are none."""

    jobs: list[JobAnswer]
    next_cursor: str | None


class JobQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which jobs: of one kind, and from where on."""

    kind: Kind | None = None
    cursor: Annotated[str, Meta(max_length=100, description=PAGE_BEFORE)] | None = None
    limit: PageLimit = 50


_body = msgspec.json.Decoder(JobBody)
_report = msgspec.json.Decoder(Report)


def _starting(path: str) -> Callable[[Handler], HTTPRouteHandler]:
    return call(
        "POST",
        path,
        roles=OPS,
        tag="Jobs",
        body=JobBody,
        body_required=False,
        example={"dry_run": True},
        answers={202: JobStarted},
        problems=(FutureTime,),
    )


@_starting("/v1/jobs/expiry")
async def start_expiry(request: Call) -> Reply:
    """Post what has expired. One already under way: its id."""
    return await _start(request, "expiry")


@_starting("/v1/jobs/tier-review")
async def start_tier_review(request: Call) -> Reply:
    """Post the tier verdicts that are due. One already under way: its id."""
    return await _start(request, "tier-review")


@_starting("/v1/jobs/hold-timeouts")
async def start_hold_timeouts(request: Call) -> Reply:
    """Post the time-outs of holds that have ended. One already under way: its id."""
    return await _start(request, "hold-timeouts")


@call("GET", "/v1/jobs", roles=OPS, tag="Jobs", query=JobQuery, answers={200: JobList})
async def list_jobs(request: Call) -> Reply:
    """List the jobs, newest first: what ran by itself and what was started by hand."""
    asked = read_query(request, JobQuery)
    jobs, cursor = await recent_jobs(context(request).engine.pool, asked.kind, asked.cursor, asked.limit)
    return reply(JobList([JobAnswer(**job) for job in jobs], cursor))


@call("GET", "/v1/jobs/{job_id:str}", roles=OPS, tag="Jobs", answers={200: JobAnswer}, problems=(NotFound,))
async def read_job(request: Call) -> Reply:
    """Read how far a job is."""
    row = await read_one_job(context(request).engine.pool, in_path(request, "job_id"))
    if row is None:
        raise NotFound("There is no job of this id.")
    result = row.pop("result")
    if result is not None:
        row["result"] = _report.decode(result)
    return reply(JobAnswer(**row))


async def _start(request: Call, kind: ScheduledKind) -> Reply:
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
    work = work_of(held.engine, kind, through, dry_run=dry_run)
    return reply(JobStarted(await held.jobs.start(kind, through, work, dry_run=dry_run)), 202)


HANDLERS = (start_expiry, start_tier_review, start_hold_timeouts, list_jobs, read_job)
