"""Many seeds over several processes, each with a Postgres of its own; a line for each seed that is done."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing import get_context
from queue import Empty
from typing import Any

from .databases import Databases, some_postgres
from .hunt import Plan, Tally, run_seed

Say = Callable[[str], None]


def simulate(plan: Plan, processes: int, say: Say) -> Tally:
    """Runs the plan. Stops at the first difference, unless the plan says to go on."""
    if processes == 1:
        return asyncio.run(simulate_here(plan, say))
    context = get_context("spawn")
    taken, found, stop = context.Value("i", 0), context.Queue(), context.Event()
    workers = [context.Process(target=_work, args=(plan, taken, found, stop)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    tally, start = Tally(), time.monotonic()
    while any(worker.is_alive() for worker in workers) or not found.empty():
        try:
            seed, part, first = found.get(timeout=1)
        except Empty:
            continue
        _count(tally, plan, seed, part, first, time.monotonic() - start, say)
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("A process of the simulation failed; see above.")
    return tally


async def simulate_here(plan: Plan, say: Say) -> Tally:
    """Runs the plan in this process."""
    tally, start, until = Tally(), time.monotonic(), plan.until()
    async with _databases(plan) as databases:
        while _more(plan, tally.seeds, until) and (plan.keep_going or not tally.failures):
            seed = plan.first + tally.seeds
            part, first = await run_seed(databases, seed, plan, until)
            _count(tally, plan, seed, part, first, time.monotonic() - start, say)
    return tally


def _more(plan: Plan, taken: int, until: float) -> bool:
    return (plan.seeds is None or taken < plan.seeds) and time.monotonic() < until


def _work(plan: Plan, taken: Any, found: Any, stop: Any) -> None:
    """A process: takes the next seed that nobody has, until there is none."""

    async def work() -> None:
        until = plan.until()
        async with _databases(plan) as databases:
            while not stop.is_set():
                with taken.get_lock():
                    if not _more(plan, taken.value, until):
                        return
                    seed = plan.first + taken.value
                    taken.value += 1
                part, first = await run_seed(databases, seed, plan, until)
                if part.failures and not plan.keep_going:
                    stop.set()
                found.put((seed, part, first))

    asyncio.run(work())


@contextlib.asynccontextmanager
async def _databases(plan: Plan) -> AsyncIterator[Databases]:
    async with some_postgres(plan.postgres) as url:
        databases = Databases(url)
        await databases.prepare()
        try:
            yield databases
        finally:
            await databases.close()


def _count(tally: Tally, plan: Plan, seed: int, part: Tally, first: str, seconds: float, say: Say) -> None:
    tally.add(part)
    tally.seconds = seconds
    of = f" of {plan.seeds}" if plan.seeds else ""
    say(
        f"seed {seed}: {part.steps:,} steps{', DIFFERENCE' if first else ''} · {tally.seeds}{of} seeds: {tally.sums()}"
    )
    if first:
        say(first[:3000])
        for text in part.failures:
            say(text)
