"""P3: redemptions, each choosing among the member's open lots."""

from collections.abc import Callable

from bench.contestants import PURCHASES
from bench.harness import Bench, Contestant, Figure, load_options, ratio
from bench.load import Sample, drive


def _redemptions(bench: Bench) -> Callable[[float], Sample]:
    server = bench.server("redemptions", bench.database("redemptions"))
    return lambda seconds: drive(server.url, "redemptions", seconds, **load_options(bench))


REDEMPTIONS = Contestant("redemptions", "redemptions over HTTP", _redemptions)
FIGURE = Figure(
    "P3",
    "redemptions over HTTP with lots to choose from / P1's rate",
    0.6,
    True,
    (PURCHASES, REDEMPTIONS),
    ratio("redemptions", "purchases"),
    2,
)
