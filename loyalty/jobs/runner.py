"""Long work beside the tills: it runs in this process, its row in the database tells every server how far it is."""

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

from loyalty import acts
from loyalty.db.connect import FAILURES
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.errors import Overloaded

Kind = Literal["expiry", "tier-review", "hold-timeouts", "backtest", "archive"]
Status = Literal["queued", "running", "done", "failed"]

SIGN_OF_LIFE_SECONDS = 2.0
DEAD_AFTER_SECONDS = 15.0
"""Without a sign of life for so long a job counts as failed. Should its server live on, the job stops by itself."""
NOTE_SECONDS = 0.5
STOP_SECONDS = 2.0
"""How long a job that is stopped tries to say so."""

log = structlog.get_logger()


class Busy(Exception):
    """Another job of this kind is under way, which was asked something else."""


class GivenUp(Exception):
    """The job's row says that it has ended: its server gave no sign of life for too long."""


Work = Callable[["Note"], Awaitable[dict[str, Any]]]
"""Does a job, tells how far it is, and returns its counts."""


class JobRunner:
    """The jobs of this process. Their rows are in the database, so every server can tell of them."""

    def __init__(self, engine: Access) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(
        self, kind: Kind, through: datetime, work: Work, *, dry_run: bool, asked: str | None = None
    ) -> str:
        """Start a job and return its id, or that of the one of its kind that is under way.

        Raises Busy if that one was asked something else.
        """
        await bury_dead(self._engine.pool)
        for _ in range(3):
            async with self._engine.pool.acquire() as connection, connection.transaction():
                row = await _make(connection, kind, through, dry_run, asked, None)
                if row is not None and row["made"]:
                    await acts.note(connection, "job.started", row["job_id"], kind=kind, dry_run=dry_run)
            if row is not None:
                if row["request"] != asked:
                    raise Busy
                if row["made"]:
                    self._begin(row["job_id"], kind, work)
                return str(row["job_id"])
        # The one under way was made after our statement began, three times over.
        raise Overloaded("Others start this job at the moment; try again.", retry_after=1)

    async def start_slot(self, kind: Kind, slot: datetime, through: datetime, work: Work) -> str | None:
        """Start the run that was to begin at `slot`. None: it was begun already, or another job of its kind runs."""
        row = await _make(self._engine.pool, kind, through, False, None, slot)
        if row is None or not row["made"]:
            return None
        self._begin(row["job_id"], kind, work)
        return str(row["job_id"])

    async def wait(self) -> None:
        """Wait until all that this process started has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, job_id: str, kind: Kind, work: Work) -> None:
        task = asyncio.create_task(self._run(job_id, kind, work), name=f"job {kind}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
            with contextlib.suppress(*FAILURES, GivenUp):
                async with asyncio.timeout(STOP_SECONDS):
                    await note.write("failed", "the server stopped; start it again, it goes on from there")
            raise
        except GivenUp:
            log.warning("job_given_up", job_id=job_id, kind=kind)
        except Exception as error:
            log.error("job_failed", job_id=job_id, kind=kind, exc_info=error)
            with contextlib.suppress(*FAILURES, GivenUp):
                await note.write("failed", "it failed; the log of the server tells why")
        finally:
            signs.cancel()


async def _make(
    database: "asyncpg.Pool | asyncpg.pool.PoolConnectionProxy",
    kind: Kind,
    through: datetime,
    dry_run: bool,
    asked: str | None,
    slot: datetime | None,
) -> asyncpg.Record | None:
    job_id = f"j-{secrets.token_hex(6)}"
    return await database.fetchrow(query("job_start"), job_id, kind, through, dry_run, asked, slot)


async def bury_dead(pool: asyncpg.Pool) -> None:
    """Mark the jobs of servers that have gone away as failed."""
    await pool.execute(query("job_bury"), DEAD_AFTER_SECONDS)


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
        if not await self._pool.fetch(
            query("job_note"), self._job_id, status, progress, counts, detail, result
        ):
            raise GivenUp

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_SECONDS)
            with contextlib.suppress(*FAILURES, GivenUp):
                await self.write("running")
