"""P9: purchases on a ledger that grew, against the ledger of P1. `--growth` says how many times the members."""

import asyncio
from collections.abc import Callable

from bench import data
from bench.contestants import PURCHASES
from bench.harness import Bench, Contestant, Figure, Result, load_options
from bench.load import Sample, drive

ENTRIES = 10


def _grown(bench: Bench) -> Callable[[float], Sample]:
    members = bench.scale.members * bench.scale.growth

    def load() -> str:
        url = bench.stack.database("grown")
        asyncio.run(data.load_members(url, members))
        asyncio.run(data.put_program(url, data.EXAMPLE))
        step = 500_000  # one statement holds its rows in memory
        for first in range(1, members + 1, step):
            asyncio.run(data.load_lots(url, ENTRIES, first=first, last=first + step - 1))
        return url

    url = bench.once("grown ledger", load)
    server = bench.server("grown", url)
    options = load_options(bench) | {"members": members}

    def measure(seconds: float) -> Sample:
        # Others' turns push it out of memory, from where a turn of seconds could not bring it back.
        asyncio.run(data.read_whole(url))
        return drive(server.url, "purchases", seconds, **options)

    return measure


def judge(bench: Bench) -> Result:
    """The ratio, and how far it was grown."""
    members = bench.scale.members * bench.scale.growth
    size = asyncio.run(data.scalar(bench.stack.url("grown"), "select pg_database_size(current_database())"))
    over, under = bench.rate("grown"), bench.rate("purchases")
    note = f"{members:,} members, {members * ENTRIES:,} entries, {size / 1e9:.1f} GB"
    return Result(over / under, {"grown": over, "purchases": under}, note)


GROWN = Contestant("grown", "purchases on a grown ledger", _grown)
FIGURE = Figure(
    "P9",
    "P1 on a grown ledger / P1 with 100,000 members",
    0.8,
    True,
    (PURCHASES, GROWN),
    judge,
    2,
    quick=False,
)
