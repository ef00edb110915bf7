"""Runs expiry, tier reviews and time-outs of holds by themselves, once however many servers there are.

Every worker of every server looks; the job table's unique slot lets one of them begin. A slot whose run failed, or
whose server went away, is begun again; slots missed while no server ran are caught up by one run.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from loyalty.db.connect import FAILURES
from loyalty.db.sql import query
from loyalty.engine.engine import Engine
from loyalty.jobs.runner import JobRunner, bury_dead
from loyalty.jobs.work import work_of
from loyalty.schedule import Plan

LOOK_SECONDS = 10.0
"""The longest between two looks: so late at most a run that failed elsewhere is begun again."""
SANDBOX_LOOK_SECONDS = 0.5
"""A sandbox's clock can be moved at any moment."""
AGAIN_SECONDS = 30.0
"""After a run that failed its slot rests for so long."""
KEPT_DAYS = 90
"""How long scheduled runs are told of."""

log = structlog.get_logger()


class Scheduler:
    """One process's share in the schedule. `look_seconds`: the longest between two looks."""

    def __init__(
        self,
        engine: Engine,
        runner: JobRunner,
        plans: Sequence[Plan],
        *,
        look_seconds: float = LOOK_SECONDS,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._plans = plans
        self._look_seconds = look_seconds
        self._again_seconds = again_seconds
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to look."""
        if self._plans:
            self._task = asyncio.create_task(self._follow(), name="schedule")

    async def close(self) -> None:
        """Stop looking; what runs is the runner's."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> float:
        """Begin what is due and nobody has begun; returns the seconds until the next look."""
        await bury_dead(self._engine.pool)
        now = await self._engine.now()
        calendar = (await self._engine.programs()).at(now).calendar
        slots = {plan.kind: plan.latest(calendar, now) for plan in self._plans}
        open_ones = await self._engine.pool.fetch(
            query("job_open_slots"), list(slots), list(slots.values()), self._again_seconds
        )
        for row in open_ones:
            kind = row["kind"]
            # Up to whatever is now when it runs: a sandbox's clock may have been set back since we looked.
            work = work_of(self._engine, kind, None, dry_run=False)
            job_id = await self._runner.start_slot(kind, slots[kind], now, work)
            if job_id is not None:
                await self._engine.pool.execute(query("job_forget"), timedelta(days=KEPT_DAYS))
        next_at = min(plan.following(calendar, now) for plan in self._plans)
        return min(self._look_seconds, max((next_at - now).total_seconds(), 0.0))

    async def _follow(self) -> None:
        while True:
            pause = self._look_seconds
            try:
                pause = await self.look()
            except FAILURES as error:
                log.warning("schedule_not_read", error=type(error).__name__)
            await asyncio.sleep(pause)
