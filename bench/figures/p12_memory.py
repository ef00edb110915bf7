"""P12: the memory of server and Postgres after many purchases, against after the first tenth of them."""

import time

from bench.harness import Bench, Figure, Result, load_options
from bench.load import drive
from bench.stack import memory_of

LIMIT_SECONDS = 1500.0
STRETCH_SECONDS = 10


def judge(bench: Bench) -> Result:
    """Memory with shared pages split among those that share them."""
    server = bench.server("memory", bench.database("memory"))
    goal = bench.scale.memory_purchases
    deadline = time.monotonic() + LIMIT_SECONDS
    done, parts = 0, {}
    for stop_at, when in ((goal // 10, "first"), (goal, "last")):
        while done < stop_at and time.monotonic() < deadline:
            done += drive(server.url, "purchases", STRETCH_SECONDS, **load_options(bench)).count
        parts[f"server MB, {when}"] = memory_of(iter([server.process.pid])) / 1e6
        parts[f"Postgres MB, {when}"] = memory_of(bench.stack.postgres_processes()) / 1e6
        parts[f"purchases, {when}"] = done
    first = parts["server MB, first"] + parts["Postgres MB, first"]
    last = parts["server MB, last"] + parts["Postgres MB, last"]
    return Result(
        last / first, parts, f"after {parts['purchases, last']:,} and {parts['purchases, first']:,}"
    )


FIGURE = Figure(
    "P12",
    "memory of server and Postgres after all purchases / after the first tenth of them",
    1.2,
    False,
    (),
    judge,
    3,
    quick=False,
)
