"""P8: balances read from the database against the same route answering a constant."""

from collections.abc import Callable

from bench.contestants import null_server
from bench.harness import Bench, Contestant, Figure, load_options, ratio
from bench.load import Sample, drive


def _balances(bench: Bench) -> Callable[[float], Sample]:
    server = bench.server("redemptions", bench.database("redemptions"))
    return lambda seconds: drive(server.url, "balances", seconds, **load_options(bench))


def _constant(bench: Bench) -> Callable[[float], Sample]:
    server = null_server(bench, "judge")
    return lambda seconds: drive(server.url, "balances", seconds, **load_options(bench))


BALANCES = Contestant("balances", "balance reads over HTTP", _balances)
CONSTANT = Contestant("constant", "the same route, a constant answer", _constant)
FIGURE = Figure(
    "P8",
    "balance reads over HTTP / the same server answering a constant",
    0.9,
    True,
    (BALANCES, CONSTANT),
    ratio("balances", "constant"),
    2,
)
