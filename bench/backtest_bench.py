"""How fast history is replayed, against recording it: python -m bench.backtest_bench [--seconds 10] [--rounds 3].

Both in one run and on one machine. The live path: purchases of 12 lines over HTTP at a real server, durable, 64
clients (as P1 of the bench). The backtest: of all that is recorded by then, on both cores, from opening the connection
to the finished report, the program in force beside a candidate: every purchase is judged twice and counted once.
Uploads come first, so that there is a history: a handful of purchases a member, as shops have.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path

from bench import data
from bench.load import drive
from bench.stack import KEY, Stack
from loyalty.backtest import backtest
from loyalty.processes import cores

MEMBERS = 10_000
UPLOAD = 1_000
PROGRAMS = Path(__file__).with_name("programs")


def main() -> None:
    """Measure and print one line of JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=10, help="of live purchases in a round")
    arguments.add_argument(
        "--history", type=float, default=30, help="seconds of uploads before the first round"
    )
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--lines", type=int, default=data.LINES)
    arguments.add_argument("--candidate", type=Path, default=PROGRAMS / "generous.toml")
    given = arguments.parse_args()
    live, replayed = [], []
    with Stack() as stack:
        url = stack.database("members")
        asyncio.run(data.load_members(url, MEMBERS))
        asyncio.run(data.put_program(url, data.EXAMPLE))
        baskets = data.write_baskets(stack.folder / "baskets.ndjson", given.lines)
        server = stack.serve("members", url)
        options = {"key": KEY, "members": MEMBERS, "baskets": baskets}
        drive(server.url, "upload", given.history, clients=2, items=UPLOAD, size=UPLOAD, **options)
        for number in range(given.rounds):
            sample = drive(server.url, "purchases", given.seconds, **options)
            live.append(sample.rate)
            # Postgres would tidy up behind the rows of the last minute while the history is read.
            asyncio.run(data.execute(url, "vacuum analyze"))
            asyncio.run(data.execute(url, "checkpoint"))
            began = time.monotonic()
            found = asyncio.run(backtest(url, given.candidate.read_text(), processes=cores()))
            assert found.reproduced.different == 0, found.reproduced
            rate = found.purchases / (time.monotonic() - began)
            replayed.append(rate)
            print(
                f"round {number + 1}: live {sample.rate:,.0f}/s, replayed {found.purchases:,} at {rate:,.0f}/s"
            )
    ratio = statistics.median(replayed) / statistics.median(live)
    print(json.dumps({"live": round(statistics.median(live)), "replayed": round(statistics.median(replayed)),
                      "ratio": round(ratio, 1), "cores": cores()}))  # fmt: skip


if __name__ == "__main__":
    main()
