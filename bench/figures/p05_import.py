"""P5: the import of a CSV file, from reading to commit, against copying the rows that it made, indexes and all."""

import asyncio
import csv
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import data
from bench.command import loyalty
from bench.harness import Bench, Figure, Result

LINES = 3
TABLES = ("posting", "entry", "lot", "lot_use", "tier_change", "open_lot", "account")


def _write(path: Path, purchases: int, members: int) -> None:
    chance = random.Random(5)
    at, step = datetime.now(UTC) - timedelta(days=300), timedelta(days=299) / purchases
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("kind", "purchase_id", "member_ref", "occurred_at", "channel", "store", "line", "sku",
                       "category", "quantity", "line_amount"))  # fmt: skip
        for number in range(purchases):
            member, when = f"m{chance.randrange(1, members + 1):08}", (at + step * number).isoformat()
            for line in range(1, LINES + 1):
                sku, amount = f"BOX-{chance.randrange(1, 300)}", f"{chance.randrange(100, 5000) / 100:.2f}"
                rows.writerow(
                    ("purchase", f"imp-{number}", member, when, "pos", "S-1", line, sku, "storage", 1, amount)
                )


def judge(bench: Bench) -> Result:
    """Ledger rows a second of either."""
    url = bench.bare_database("import", data.EXAMPLE)
    file = bench.stack.folder / "import.csv"
    purchases = bench.scale.import_purchases
    _write(file, purchases, bench.scale.members)
    started = time.monotonic()
    loyalty(["import", str(file)], url)
    imported = time.monotonic() - started
    file.unlink()
    rows = asyncio.run(data.scalar(url, "select " + " + ".join(
        f"(select count(*) from {table})" for table in TABLES[:5])))  # fmt: skip
    asyncio.run(data.execute(url, copies(TABLES)))
    started = time.monotonic()
    asyncio.run(data.execute(url, "begin; " + "".join(
        f"insert into again.{table} select * from {table};" for table in TABLES) + " commit"))  # fmt: skip
    copied = time.monotonic() - started
    parts = {"purchases": purchases, "ledger rows": rows, "rows/s imported": rows / imported,
             "rows/s copied": rows / copied, "purchases/s": purchases / imported}  # fmt: skip
    return Result(copied / imported, parts, f"{purchases:,} purchases of {LINES} lines")


def copies(tables: tuple[str, ...]) -> str:
    """Empty tables beside the ledger's, with the same indexes and checks."""
    return "create schema again; " + "".join(
        f"create table again.{table} (like {table} including all);" for table in tables
    )


FIGURE = Figure(
    "P5",
    "import of a CSV of purchases, ledger rows a second / INSERT … SELECT of the same finished rows",
    0.4,
    True,
    (),
    judge,
    3,
)
