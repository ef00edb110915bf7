"""P2: against whoever commits once a request, without any HTTP, and against the usual way of writing this service."""

from bench.contestants import BASELINE, PGBENCH, PURCHASES
from bench.harness import Bench, Figure, Result


def judge(bench: Bench) -> Result:
    """Over the best of the four numbers of clients."""
    rates = {one.name: bench.rate(one.name) for one in PGBENCH}
    over = bench.rate("purchases")
    return Result(
        over / max(rates.values()), {"purchases": over, **rates, "baseline": bench.rate("baseline")}
    )


FIGURE = Figure(
    "P2",
    "the same / pgbench on the same Postgres, one plpgsql call and one commit a purchase, best of 8 to 64 clients",
    1.0,
    True,
    (PURCHASES, *PGBENCH, BASELINE),
    judge,
    1,
)
