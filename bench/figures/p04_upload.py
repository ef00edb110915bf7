"""P4: uploads of 1,000 purchases as NDJSON, by two clients."""

from collections.abc import Callable

from bench.contestants import PURCHASES
from bench.harness import Bench, Contestant, Figure, load_options, ratio
from bench.load import Sample, drive

SIZE = 1_000
LEAST_SECONDS = 6


def _upload(bench: Bench) -> Callable[[float], Sample]:
    server = bench.server("upload", bench.database("upload"))
    # Few requests fit into a second: a longer stretch, so that the last one does not decide.
    return lambda seconds: drive(
        server.url,
        "upload",
        max(seconds, LEAST_SECONDS),
        clients=2,
        items=SIZE,
        size=SIZE,
        **load_options(bench),
    )


UPLOAD = Contestant("upload", "purchases in uploads of 1,000", _upload)
FIGURE = Figure(
    "P4",
    "upload in batches of 1,000 / P1's rate",
    3,
    True,
    (PURCHASES, UPLOAD),
    ratio("upload", "purchases"),
    2,
)
