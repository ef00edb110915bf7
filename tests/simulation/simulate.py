"""Drives the engine and the model with one seeded stream of steps, and compares every answer.

    python -m tests.simulation.simulate --seconds 60 [--seed 1] [--seeds 5] [--steps 4000] [--processes 2]
    python -m tests.simulation.simulate --replay FILE

The ledger's clock is frozen: it moves by the steps alone, so that a run can be repeated to the microsecond.
A difference is shrunk to a few steps, printed, and written to a file that --replay takes.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from .databases import Databases, some_postgres
from .run import Difference, a_run
from .shrink import shrink
from .steps import Step, Submit, describe, of_one_member, read, write
from .world import World

STEPS_A_SEED = 4_000


@dataclass
class Tally:
    steps: int = 0
    seeds: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.steps += other.steps
        self.seeds += other.seeds
        self.kinds += other.kinds
        self.failures += other.failures


async def run_seed(
    databases: Databases, seed: int, count: int, until: float, audits: bool = True, mixed: bool = False
) -> tuple[int, Counter[str], list[Step], Difference | None]:
    """Runs one seed for `count` steps, or until the time is over; the difference that ended it, if any."""
    steps: list[Step] = []
    async with a_run(databases, audits) as run:
        world = World(seed, mixed=mixed)
        try:
            for step in world.first():
                steps.append(step)
                await run.step(step)
            world.model = run.model
            while run.done < count and time.monotonic() < until:
                steps.append(world.next())
                await run.step(steps[-1])
            await run.finish()
        except Difference as found:
            return run.done, run.kinds, steps, found
        except Exception as crash:  # noqa: BLE001 - a crash of either side is a finding too
            return run.done, run.kinds, steps, Difference("".join(traceback.format_exception(crash)[-6:]))
        return run.done, run.kinds, steps, None


async def replay(databases: Databases, steps: list[Step]) -> Difference | None:
    """Runs a list of steps on a fresh database."""
    async with a_run(databases) as run:
        try:
            for step in steps:
                await run.step(step)
            await run.finish()
        except Difference as found:
            return found
        except Exception as crash:  # noqa: BLE001
            return Difference("".join(traceback.format_exception(crash)[-6:]))
    return None


async def report(
    databases: Databases, seed: int, steps: list[Step], found: Difference, shrinking: float
) -> str:
    """Shrinks a failure and says how to repeat it."""

    async def fails(some: list[Step]) -> bool:
        other = await replay(databases, some)
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
    message = str(await replay(databases, small) or found)
    path = Path(tempfile.gettempdir()) / f"simulation-{seed}.jsonl"
    write(path, small, {"seed": seed, "steps": len(small), "of": len(steps)})
    listing = "\n".join(describe(step) for step in small) if len(small) < 40 else f"({len(small)} steps)"
    return (
        f"seed {seed}: after {len(steps)} steps, shrunk to {len(small)}\n{listing}\n\n{message}\n\n"
        f"python -m tests.simulation.simulate --replay {path}\n"
    )


async def simulate(
    url: str | None,
    seconds: float,
    first_seed: int,
    seeds: int | None = None,
    count: int = STEPS_A_SEED,
    stride: int = 1,
    shrinking: float = 60,
    keep_going: bool = False,
    mixed: bool = False,
    say: Callable[[str], None] = print,
) -> Tally:
    """Runs seed after seed until the time is over; stops at the first difference unless told to go on."""
    tally, start = Tally(), time.monotonic()
    until = start + seconds
    async with some_postgres(url) as found:
        databases = Databases(found)
        await databases.prepare()
        try:
            seed = first_seed
            while time.monotonic() < until and (seeds is None or tally.seeds < seeds):
                began = time.monotonic()
                done, kinds, steps, difference = await run_seed(databases, seed, count, until, mixed=mixed)
                tally.steps += done
                tally.seeds += 1
                tally.kinds += kinds
                took = time.monotonic() - began
                say(f"seed {seed}: {done} steps in {took:.1f} s{', DIFFERENCE' if difference else ''}")
                if difference is not None:
                    say(str(difference)[:3000])
                    text = await report(databases, seed, steps, difference, shrinking)
                    say(text)
                    tally.failures.append(text)
                    if not keep_going:
                        break
                seed += stride
        finally:
            await databases.close()
    tally.seconds = time.monotonic() - start
    return tally


def _process(args: argparse.Namespace, place: int) -> Tally:
    return asyncio.run(
        simulate(
            args.postgres,
            args.seconds,
            args.seed + place,
            None if args.seeds is None else -(-args.seeds // args.processes),
            args.steps,
            args.processes,
            args.shrink,
            args.keep_going,
            args.mixed,
            lambda text: print(text, flush=True),
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--steps", type=int, default=STEPS_A_SEED)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--postgres", help="URL of a Postgres whose user may create databases")
    parser.add_argument("--shrink", type=float, default=60, help="seconds to spend on shrinking a failure")
    parser.add_argument("--mixed", action="store_true", help="let idle and dated points meet in one account")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--kinds", action="store_true", help="print how often what happened")
    parser.add_argument("--replay", type=Path)
    args = parser.parse_args()
    if args.replay:
        return asyncio.run(_replay(args))
    start, tally = time.monotonic(), Tally()
    if args.processes == 1:
        tally.add(_process(args, 0))
    else:
        with get_context("spawn").Pool(args.processes) as pool:
            for part in pool.starmap(_process, [(args, place) for place in range(args.processes)]):
                tally.add(part)
    took = time.monotonic() - start
    print(
        f"{tally.steps} steps, {tally.seeds} seeds, {len(tally.failures)} differences, "
        f"{took:.0f} s, {tally.steps / took:.0f} steps/s"
    )
    if args.kinds:
        for name, times in sorted(tally.kinds.items()):
            print(f"{times:10} {name}")
    return 1 if tally.failures else 0


async def _replay(args: argparse.Namespace) -> int:
    steps = read(args.replay)
    async with some_postgres(args.postgres) as url:
        databases = Databases(url)
        await databases.prepare()
        found = await replay(databases, steps)
        await databases.close()
    for step in steps[-40:]:
        print(describe(step))
    print(found or "no difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
