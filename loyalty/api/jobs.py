"""Long work that ops start by hand: it runs beside the tills in this process, and tells how far it is."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec
import structlog
from msgspec import UNSET, Struct, UnsetType

from loyalty.api.auth import OPS
from loyalty.api.contract import call
from loyalty.api.reading import Call, context, in_path, read_optional_json
from loyalty.api.reply import Reply, reply
from loyalty.backtest.report import Report
from loyalty.db.sql import query
from loyalty.engine.engine import Engine
from loyalty.engine.validate import check_instant
from loyalty.errors import FutureTime, NotFound, Overloaded
from loyalty.types import Instant

Kind = Literal["expiry", "tier-review", "backtest"]
Status = Literal["queued", "running", "done", "failed"]

SIGN_OF_LIFE_SECONDS = 5.0
DEAD_AFTER_SECONDS = 60.0
NOTE_SECONDS = 0.5

log = structlog.get_logger()


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


class Busy(Exception):
    """Another job of this kind is under way, which was asked something else."""


Work = Callable[["Note"], Awaitable[dict[str, Any]]]
"""Does a job, tells how far it is, and returns its counts."""


class JobRunner:
    """The jobs of this process. Their rows are in the database, so every server can tell of them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(
        self, kind: Kind, through: datetime, work: Work, *, dry_run: bool, asked: str | None = None
    ) -> str:
        """Start a job and return its id, or that of the one of its kind that is under way.

        Raises Busy if that one was asked something else.
        """
        pool = self._engine.pool
        await pool.execute(query("job_bury"), DEAD_AFTER_SECONDS)
        for _ in range(3):
            job_id = f"j-{secrets.token_hex(6)}"
            row = await pool.fetchrow(query("job_start"), job_id, kind, through, dry_run, asked)
            if row is not None:
                if row["request"] != asked:
                    raise Busy
                if row["made"]:
                    task = asyncio.create_task(self._run(job_id, kind, work), name=f"job {kind}")
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                return str(row["job_id"])
        # The one under way was made after our statement began, three times over.
        raise Overloaded("Others start this job at the moment; try again.", retry_after=1)

    async def close(self) -> None:
        """Stop what runs. What it has done stays done; started again it goes on from there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job_id: str, kind: Kind, work: Work) -> None:
        note = Note(self._engine.pool, job_id)
        signs = asyncio.create_task(note.keep_alive())
        log.info("job_started", job_id=job_id, kind=kind)
        try:
            await note.write("running")
            counts = await work(note)
            note.progress, note.counts = 1.0, counts
            await note.write("done")
            log.info("job_done", job_id=job_id, kind=kind)
        except asyncio.CancelledError:
            await asyncio.shield(
                note.write("failed", "the server stopped; start it again, it goes on from there")
            )
            raise
        except Exception as error:
            log.error("job_failed", job_id=job_id, kind=kind, exc_info=error)
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await note.write("failed", "it failed; the log of the server tells why")
        finally:
            signs.cancel()


class Note:
    """How far one job is, written down now and then. `result`: what is to be kept when it is done."""

    def __init__(self, pool: asyncpg.Pool, job_id: str) -> None:
        self._pool = pool
        self._job_id = job_id
        self._written_at = 0.0
        self.progress = 0.0
        self.counts: dict[str, Any] = {}
        self.result: str | None = None

    async def progressed(self, progress: float, counts: dict[str, Any]) -> None:
        self.progress, self.counts = progress, counts
        if time.monotonic() - self._written_at >= NOTE_SECONDS:
            await self.write("running")

    def seen(self, progress: float, what: str) -> None:
        """As `progressed`, for work that cannot wait; the next sign of life tells it."""
        self.progress, self.counts = progress, {"done": what}

    async def write(self, status: Status, detail: str | None = None) -> None:
        self._written_at = time.monotonic()
        counts = msgspec.json.encode(self.counts).decode()
        progress = min(1.0, max(0.0, self.progress))
        result = self.result if status == "done" else None
        await self._pool.execute(query("job_note"), self._job_id, status, progress, counts, detail, result)

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_SECONDS)
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await self.write("running")


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
    await pool.execute(query("job_bury"), DEAD_AFTER_SECONDS)
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
