"""One seed after another: runs them, shrinks what differs, and keeps count."""

import resource
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from .databases import Databases
from .difference import Difference
from .run import a_run
from .shrink import shrink
from .steps import Step, Submit, describe, of_one_member, weight, write
from .world import World

STEPS_A_SEED = 5_000


class Plan(Struct, frozen=True):
    """What to run: seeds from `first` on, `seeds` of them or as many as `seconds` allow, each of `steps` steps."""

    postgres: str | None = None
    seconds: float | None = None
    first: int = 1
    seeds: int | None = None
    steps: int = STEPS_A_SEED
    shrinking: float = 60
    keep_going: bool = False

    def until(self) -> float:
        return time.monotonic() + self.seconds if self.seconds else float("inf")


@dataclass
class Tally:
    """What was run: by how many seeds, how many steps, of which kinds, and what was found."""

    steps: int = 0
    seeds: int = 0
    seconds: float = 0.0
    memory_mb: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.steps += other.steps
        self.seeds += other.seeds
        self.memory_mb = max(self.memory_mb, other.memory_mb)
        self.kinds += other.kinds
        self.failures += other.failures

    def sums(self) -> str:
        took = max(self.seconds, 0.001)
        return (
            f"{self.steps:,} steps, {self.seeds} seeds, {len(self.failures)} differences, {took:,.0f} s, "
            f"{self.steps / took:,.0f} steps/s"
        )

    def result(self) -> str:
        return f"{self.sums()}, at most {self.memory_mb} MB a process"


def shards_of(seed: int) -> int:
    """Every fourth seed runs on a database of three shards, between which members are merged, too."""
    return 3 if seed % 4 == 0 else 1


async def run_seed(databases: Databases, seed: int, plan: Plan, until: float) -> tuple[Tally, str]:
    """Runs one seed to its last step, or until the time is over. Returns what was done, and the first line of what
    was found, if anything."""
    steps: list[Step] = []
    found: Difference | None = None
    async with a_run(databases, shards_of(seed)) as run:
        world = World(seed, shards_of(seed))
        try:
            for step in world.first():
                steps.append(step)
                await run.step(step)
            world.model = run.model
            while run.done < plan.steps and time.monotonic() < until:
                step = world.next()
                if isinstance(step, Submit) and weight(step) > plan.steps - run.done:
                    step = replace(step, requests=step.requests[: plan.steps - run.done])
                steps.append(step)
                await run.step(step)
            await run.finish()
        except Exception as crash:  # noqa: BLE001 - a crash of either side is a finding too
            found = _difference(crash)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    tally = Tally(run.done, 1, 0, memory_mb, run.kinds)
    if found is None:
        return tally, ""
    tally.failures.append(await report(databases, seed, steps, found, plan.shrinking))
    return tally, str(found)


def _difference(crash: Exception) -> Difference:
    if isinstance(crash, Difference):
        return crash
    return Difference("".join(traceback.format_exception(crash)[-14:]))


async def replay(databases: Databases, steps: list[Step], shards: int) -> Difference | None:
    """Runs a list of steps on a fresh database."""
    async with a_run(databases, shards) as run:
        try:
            for step in steps:
                await run.step(step)
            await run.finish()
        except Exception as crash:  # noqa: BLE001 - as above
            return _difference(crash)
    return None


async def report(
    databases: Databases, seed: int, steps: list[Step], found: Difference, shrinking: float
) -> str:
    """Shrinks a failure and says how to repeat it."""
    shards = shards_of(seed)

    async def fails(some: list[Step]) -> bool:
        other = await replay(databases, some, shards)
        return other is not None and other.sort == found.sort

    if shrinking:
        # With the batch cut behind the item that differs, and then of one member alone, if it fails still.
        last = steps[-1]
        cut = steps
        if isinstance(last, Submit):
            cut = [*steps[:-1], Submit(last.at, last.requests[: found.place + 1], last.together)]
        for fewer in (of_one_member(cut, found.member), cut):
            if await fails(fewer):
                steps = fewer
                break
    small = await shrink(steps, fails, shrinking) if shrinking and await fails(steps) else steps
    message = str(await replay(databases, small, shards) or found)
    path = Path(tempfile.gettempdir()) / f"simulation-{seed}.jsonl"
    write(path, small, {"seed": seed, "shards": shards, "steps": len(small), "of": len(steps)})
    listing = "\n".join(describe(step) for step in small) if len(small) < 40 else f"({len(small)} steps)"
    return (
        f"seed {seed}: after {len(steps)} steps, shrunk to {len(small)}\n{listing}\n\n{message}\n\n"
        f"python -m tests.simulation.simulate --replay {path}\n"
    )
