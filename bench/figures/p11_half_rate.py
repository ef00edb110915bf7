"""P11: how even the answers are when the server is not at its limit. Clients think between two purchases."""

from collections.abc import Callable

from bench.contestants import PURCHASES
from bench.harness import Bench, Contestant, Figure, Result, load_options
from bench.load import Sample, drive

CLIENTS = 128
"""More than at the top rate, each thinking longer: arrivals then hardly depend on the answers."""


def half_load(bench: Bench, url: str, seconds: float, rate: float) -> Sample:
    """Purchases at half of `rate`."""
    pace = CLIENTS / (rate / 2) * 1000
    return drive(url, "purchases", seconds, clients=CLIENTS, pace_ms=pace, **load_options(bench))


def _half(bench: Bench) -> Callable[[float], Sample]:
    server = bench.server("members", bench.database())

    def measure(seconds: float) -> Sample:
        top = bench.rate("purchases") if "purchases" in bench.samples else 1_000.0
        return half_load(bench, server.url, seconds, top)

    return measure


def judge(bench: Bench) -> Result:
    """The median over the rounds of p99 over p50."""
    samples = bench.samples["half rate"]
    return Result(
        bench.median("half rate", lambda one: one.p99_ms / max(one.p50_ms, 0.001)),
        {
            "p50 ms": bench.median("half rate", lambda one: one.p50_ms),
            "p99 ms": bench.median("half rate", lambda one: one.p99_ms),
            "rate": samples[-1].rate,
        },
    )


HALF = Contestant("half rate", "purchases at half of the top rate", _half)
FIGURE = Figure(
    "P11",
    "p99 / p50 of purchases at half of the top rate",
    3,
    False,
    (PURCHASES, HALF),
    judge,
    1,
)
