"""P13: two servers on one database against one, with half of the traffic on ten accounts; afterwards the books are
audited, so that nothing may go wrong where they contend."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.harness import Bench, Contestant, Figure, Result, load_options
from bench.load import BenchError, Sample, drive
from bench.stack import ROOT

HOT = {"hot_share": 0.5, "hot_members": 10}


def _one(bench: Bench) -> Callable[[float], Sample]:
    server = bench.server("hot 1", bench.database("hot"))
    return lambda seconds: drive(server.url, "purchases", seconds, **HOT, **load_options(bench))


def _two(bench: Bench) -> Callable[[float], Sample]:
    servers = [bench.server(f"hot {number}", bench.database("hot")) for number in (1, 2)]

    def measure(seconds: float) -> Sample:
        with ThreadPoolExecutor(2) as both:
            halves = list(
                both.map(
                    lambda server: drive(
                        server.url, "purchases", seconds, clients=32, **HOT, **load_options(bench)
                    ),
                    servers,
                )
            )
        return Sample(
            sum(half.rate for half in halves),
            max(half.p50_ms for half in halves),
            max(half.p99_ms for half in halves),
            sum(half.count for half in halves),
            sum(half.refused for half in halves),
        )

    return measure


def judge(bench: Bench) -> Result:
    """The ratio; raises when the audit finds anything, or a purchase was refused."""
    refused = sum(sample.refused for name in ("one server", "two servers") for sample in bench.samples[name])
    audit = subprocess.run(
        [sys.executable, "-m", "loyalty.cli.main", "audit"],
        cwd=ROOT, env={"LOYALTY_DATABASE_URL": bench.database("hot")}, capture_output=True, text=True, check=False,
        timeout=1800,
    )  # fmt: skip
    if audit.returncode != 0:
        raise BenchError(f"P13: the audit found something:\n{audit.stdout[-2000:]}{audit.stderr[-2000:]}")
    one, two = bench.rate("one server"), bench.rate("two servers")
    return Result(two / one, {"two servers": two, "one server": one, "refused": refused}, "audited: sound")


ONE = Contestant("one server", "one server, half of the traffic on 10 accounts", _one)
TWO = Contestant("two servers", "two servers on one database, the same traffic", _two)
FIGURE = Figure(
    "P13",
    "two servers on one database / one server, 50% of the traffic on 10 accounts, audited afterwards",
    1.0,
    True,
    (ONE, TWO),
    judge,
    2,
)
