"""Drives the engine and the model with one seeded stream of steps, and compares every answer.

    python -m tests.simulation.simulate --seconds 60 [--seed 1] [--steps 5000] [--processes 2] [--kinds]
    python -m tests.simulation.simulate --seeds 200 --steps 5000 --processes 2      (a million steps, exactly)
    python -m tests.simulation.simulate --replay FILE

The ledger's clock is frozen: it moves by the steps alone, so that a run can be repeated to the microsecond.
A difference is shrunk to a few steps, printed, and written to a file that --replay takes.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from .databases import Databases, some_postgres
from .hunt import STEPS_A_SEED, Plan, replay
from .many import simulate
from .steps import describe, read, read_head


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, help="60, unless --seeds says how much")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--steps", type=int, default=STEPS_A_SEED, help="steps of a seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--postgres", help="URL of a Postgres whose user may create databases")
    parser.add_argument("--shrink", type=float, default=60, help="seconds to spend on shrinking a failure")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--kinds", action="store_true", help="print how often what happened")
    parser.add_argument("--replay", type=Path)
    args = parser.parse_args()
    if args.replay:
        return asyncio.run(_replay(args))
    seconds = args.seconds or (None if args.seeds else 60)
    plan = Plan(args.postgres, seconds, args.seed, args.seeds, args.steps, args.shrink, args.keep_going)
    tally = simulate(plan, args.processes, lambda text: print(text, flush=True))
    print(tally.result())
    if args.kinds:
        for name, times in sorted(tally.kinds.items()):
            print(f"{times:10,} {name}")
    return 1 if tally.failures else 0


async def _replay(args: argparse.Namespace) -> int:
    steps, head = read(args.replay), read_head(args.replay)
    async with some_postgres(args.postgres) as url:
        databases = Databases(url)
        await databases.prepare()
        found = await replay(databases, steps, head.get("shards", 1))
        await databases.close()
    for step in steps[-40:]:
        print(describe(step))
    print(found or "no difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
