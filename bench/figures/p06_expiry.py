"""P6: the expiry of many due lots among five times as many, against writing the same rows set-based in one go."""

import asyncio
import time

from bench import data
from bench.command import loyalty
from bench.figures.p05_import import copies
from bench.harness import Bench, Figure, Result

LOTS = 5
TABLES = ("posting", "entry", "lot_use", "account")
_SET_BASED = """
begin;
insert into again.posting select * from posting where kind = 'expiry';
insert into again.entry select * from entry where kind = 'expire';
insert into again.lot_use select * from lot_use where purpose = 'expire';
update again.account a set number = h.number, seq = h.seq, balance = h.balance, hash = h.hash,
    recorded_at = h.recorded_at, due_at = h.due_at
from account h where h.shard = a.shard and h.account = a.account and h.number <> a.number;
commit;
"""


def due_database(bench: Bench) -> str:
    """A database in which each member has one lot that fell due and four that did not."""

    def load() -> str:
        url = bench.stack.database("due")
        asyncio.run(data.load_members(url, bench.scale.due_lots))
        asyncio.run(data.put_program(url, data.EXAMPLE))
        asyncio.run(data.load_lots(url, LOTS, due=1))
        return url

    return str(bench.once("members with due lots", load))


def judge(bench: Bench) -> Result:
    """Due lots a second of either."""
    url = due_database(bench)
    asyncio.run(data.execute(url, copies(TABLES)))
    for table in TABLES:
        asyncio.run(data.execute(url, f"insert into again.{table} select * from {table}"))
    asyncio.run(data.execute(url, "vacuum analyze"))
    asyncio.run(data.execute(url, "checkpoint"))
    started = time.monotonic()
    loyalty(["expire"], url)
    expired = time.monotonic() - started
    lots = asyncio.run(data.scalar(url, "select count(*) from lot_use where purpose = 'expire'"))
    asyncio.run(data.execute(url, "checkpoint"))
    started = time.monotonic()
    asyncio.run(data.execute(url, _SET_BASED))
    written = time.monotonic() - started
    parts = {"due lots": lots, "lots/s expired": lots / expired, "lots/s set-based": lots / written}
    return Result(written / expired, parts, f"{lots:,} due lots among {lots * LOTS:,}")


FIGURE = Figure(
    "P6",
    "expiry of due lots among five times as many, lots a second / INSERT … SELECT of the rows and UPDATE of the heads",
    0.4,
    True,
    (),
    judge,
    3,
)
