"""Scheduled runs: once a slot however many look, caught up after downtime, begun again when they failed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, time, timedelta
from typing import Any

import asyncpg

from loyalty.engine.engine import Engine
from loyalty.jobs.history import recent_jobs
from loyalty.jobs.runner import JobRunner, Note
from loyalty.jobs.scheduler import Scheduler
from loyalty.schedule import Plan, parse_schedule
from tests.builders import Ledger, adjust, day, expiry, hold, open_ledger, program, purchase

EXPIRY = (Plan("expiry", at=time(3)),)


class Server:
    """What a server does of the schedule."""

    def __init__(self, engine: Engine, plans: tuple[Plan, ...]) -> None:
        self.runner = JobRunner(engine)
        self.scheduler = Scheduler(engine, self.runner, plans, look_seconds=0.05, again_seconds=0.0)

    async def look(self) -> float:
        pause = await self.scheduler.look()
        await self.runner.wait()
        return pause


@asynccontextmanager
async def servers(url: str, count: int, plans: tuple[Plan, ...]) -> AsyncIterator[list[Server]]:
    engines = [await Engine.open(url, pool_size=2) for _ in range(count)]
    try:
        yield [Server(engine, plans) for engine in engines]
    finally:
        for engine in engines:
            await engine.close()


async def runs(ledger: Ledger, kind: Any = None) -> list[tuple[str, str, datetime | None]]:
    """Kind, status and slot of all jobs, oldest first."""
    jobs, _ = await recent_jobs(ledger.engine.pool, kind, None, 1000)
    return [(job["kind"], job["status"], job["slot"]) for job in reversed(jobs)]


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await what():  # noqa: ASYNC110 (what the database says has no event)
            await asyncio.sleep(0.02)


async def test_a_slot_is_run_once_however_many_servers_look(database_url: str) -> None:
    async with (
        open_ledger(database_url, program(expiry("after", days=1)), "ada", at=day(2026, 3, 2, 12)) as ledger,
        servers(database_url, 4, EXPIRY) as all_servers,
    ):
        await ledger.do(purchase(10_000, at=day(2026, 3, 2, 11)))
        for number in (3, 4, 5):
            await ledger.move_clock(day(2026, 3, number, 4))
            for _ in range(3):
                await asyncio.gather(*(server.look() for server in all_servers))
        assert await runs(ledger) == [("expiry", "done", day(2026, 3, number, 3)) for number in (3, 4, 5)]
        assert await ledger.entries() == [("earn", 100), ("expire", -100)]


async def test_runs_missed_while_no_server_ran_are_caught_up_by_one(database_url: str) -> None:
    async with (
        open_ledger(database_url, program(expiry("after", days=1)), "ada", at=day(2026, 3, 2, 12)) as ledger,
        servers(database_url, 1, EXPIRY) as (server,),
    ):
        await ledger.do(purchase(10_000, at=day(2026, 3, 2, 11)))
        await ledger.move_clock(day(2026, 4, 20, 2))
        await server.look()
        assert await runs(ledger) == [("expiry", "done", day(2026, 4, 19, 3))]
        assert await ledger.entries() == [("earn", 100), ("expire", -100)]


async def test_the_next_look_is_at_the_next_slot(database_url: str) -> None:
    async with open_ledger(database_url, program(), at=day(2026, 3, 2, 2)) as ledger:
        runner = JobRunner(ledger.engine)
        patient = Scheduler(ledger.engine, runner, EXPIRY, look_seconds=100_000)
        assert 3_500 < await patient.look() <= 3_600
        await runner.wait()


async def test_a_run_that_failed_is_begun_again_and_one_whose_server_died_too(database_url: str) -> None:
    async with (
        open_ledger(database_url, program(), at=day(2026, 3, 2, 12)) as ledger,
        servers(database_url, 2, EXPIRY) as (first, second),
    ):
        now, slot = await ledger.engine.now(), day(2026, 3, 2, 3)

        async def broken(note: Note) -> dict[str, Any]:
            raise asyncpg.DataError("planted")

        assert await first.runner.start_slot("expiry", slot, now, broken) is not None
        await first.runner.wait()
        assert await runs(ledger) == [("expiry", "failed", slot)]

        async def endless(note: Note) -> dict[str, Any]:
            await asyncio.sleep(1000)
            return {}

        assert await first.runner.start_slot("expiry", slot, now, endless) is not None
        await second.look()
        assert (await runs(ledger))[1:] == [("expiry", "running", slot)], (
            "it is under way: nobody else begins"
        )
        # As after kill -9: no further sign of life.
        await ledger.engine.pool.execute("update job set updated_at = updated_at - interval '1 minute'")
        await second.look()
        assert [status for _, status, _ in await runs(ledger)] == ["failed", "failed", "done"]
        await first.runner.close()


async def test_a_job_that_was_given_up_stops_when_it_notices(database_url: str) -> None:
    async with open_ledger(database_url, program()) as ledger:
        runner, now = JobRunner(ledger.engine), await ledger.engine.now()
        steps = 0

        async def steady(note: Note) -> dict[str, Any]:
            nonlocal steps
            while True:
                await note.progressed(0.5, {"steps": steps})
                await asyncio.sleep(0.1)
                steps += 1

        await runner.start("expiry", now, steady, dry_run=False)
        await asyncio.sleep(0.2)
        await ledger.engine.pool.execute("update job set status = 'failed', detail = 'given up'")
        async with asyncio.timeout(5):
            await runner.wait()
        jobs, _ = await recent_jobs(ledger.engine.pool, None, None, 10)
        assert [(job["status"], job["detail"]) for job in jobs] == [("failed", "given up")]


async def test_a_job_by_hand_is_not_a_slots_run_and_no_two_are_under_way(database_url: str) -> None:
    async with (
        open_ledger(database_url, program(), at=day(2026, 3, 2, 12)) as ledger,
        servers(database_url, 2, EXPIRY) as (first, second),
    ):
        go_on = asyncio.Event()

        async def by_hand(note: Note) -> dict[str, Any]:
            await go_on.wait()
            return {}

        await first.runner.start("expiry", await ledger.engine.now(), by_hand, dry_run=False)
        await second.look()
        assert len(await runs(ledger)) == 1
        go_on.set()
        await first.runner.wait()
        await second.look()
        assert await runs(ledger) == [("expiry", "done", None), ("expiry", "done", day(2026, 3, 2, 3))]


async def test_time_outs_of_holds_post_the_ended_holds_and_leave_the_expiry_alone(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob", at=day(2026, 3, 2, 12)) as ledger:
        await ledger.do(adjust(100))
        await ledger.do(hold(60, id="h", seconds=60))
        await ledger.do(adjust(50, member="bob", expires_at=day(2026, 3, 2, 13)))
        await ledger.move_clock(timedelta(hours=2))
        assert (await ledger.engine.time_out_holds(dry_run=True))["holds_timed_out"] == 1
        assert (await ledger.redemption("h")).status == "timed_out"
        counts = await ledger.engine.time_out_holds()
        assert counts == {"accounts": 1, "holds_timed_out": 1, "points_expired": 0, "verdicts": 0}
        assert await ledger.value("select count(*) from posting where kind = 'timeout'") == 1
        assert await ledger.value("select count(*) from posting where kind = 'expiry'") == 0
        assert (await ledger.engine.time_out_holds())["accounts"] == 0


async def test_an_open_scheduler_follows_the_clock(database_url: str) -> None:
    plans = parse_schedule("expiry=03:00,tier-review=04:00,hold-timeouts=5m")
    async with (
        open_ledger(database_url, program(), "ada", at=day(2026, 3, 2, 12)) as ledger,
        servers(database_url, 3, plans) as all_servers,
    ):
        for server in all_servers:
            server.scheduler.open()

        async def all_done() -> bool:
            found = await runs(ledger)
            return len(found) >= 3 and all(status == "done" for _, status, _ in found)

        await until(all_done)
        await ledger.move_clock(day(2026, 3, 5, 5))

        async def twice() -> bool:
            return len(await runs(ledger, "tier-review")) == 2 and await all_done()

        await until(twice)
        for server in all_servers:
            await server.scheduler.close()
            await server.runner.close()
        found = await runs(ledger)
        assert len(found) == len(set(found)), "no slot twice"
        assert [slot for kind, _, slot in found if kind == "expiry"] == [
            day(2026, 3, 2, 3),
            day(2026, 3, 5, 3),
        ]
