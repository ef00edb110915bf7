"""P7: live purchases at half load while the expiry runs, against the same without it, in turns."""

import statistics

from bench.command import start
from bench.contestants import PURCHASES
from bench.figures.p06_expiry import due_database
from bench.figures.p11_half_rate import half_load
from bench.harness import Bench, Figure, Result

ROUNDS = 3


def judge(bench: Bench) -> Result:
    """The median p99 beside it over the median p99 alone."""
    due_database(bench)
    url = bench.once("database beside", lambda: bench.stack.database("beside", template="due"))
    server = bench.server("beside expiry", url)
    rate = bench.rate("purchases")
    alone, beside, ended = [], [], 0
    half_load(bench, server.url, bench.scale.warm_seconds, rate)
    for number in range(1, ROUNDS + 1):
        alone.append(half_load(bench, server.url, bench.scale.seconds, rate))
        expiry = start(["expire"], url)
        try:
            beside.append(half_load(bench, server.url, bench.scale.seconds, rate))
        finally:
            ended += expiry.poll() is not None
            expiry.terminate()
            expiry.wait()
        bench.say(
            f"  round {number}: p99 {alone[-1].p99_ms:.1f} ms alone, {beside[-1].p99_ms:.1f} ms beside the expiry"
        )
    a, b = (statistics.median(sample.p99_ms for sample in samples) for samples in (alone, beside))
    note = f"the expiry ended before the load in {ended} of {ROUNDS} rounds" if ended else ""
    return Result(b / a, {"p99 ms beside": b, "p99 ms alone": a, "rate": rate / 2}, note)


FIGURE = Figure(
    "P7",
    "p99 of live purchases at half load while P6 runs / without it",
    2,
    False,
    (PURCHASES,),
    judge,
    1,
    quick=False,
)
