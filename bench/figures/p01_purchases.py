"""P1: what durability and the books cost. Both judge the same baskets by the example program."""

from bench.contestants import DECIDED, NULL, PURCHASES
from bench.harness import Bench, Figure, Result


def judge(bench: Bench) -> Result:
    """The bar compares with judging alone; `decided` shows what of the rest is Python and what the database."""
    over, under = bench.rate("purchases"), bench.rate("null")
    return Result(over / under, {name: bench.rate(name) for name in ("purchases", "null", "decided")})


FIGURE = Figure(
    "P1",
    "purchases over HTTP, 12 lines, 64 clients, durable / the same server and request without a database",
    0.7,
    True,
    (PURCHASES, NULL, DECIDED),
    judge,
    1,
)
