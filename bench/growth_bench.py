"""What the ledger costs as it grows: bytes a member and a purchase, what an archive leaves of them, and whether
partitions by month would help.

    python -m bench.growth_bench [--members 20000] [--purchases 50000] [--rows 3000000]

The second part fills two tables shaped like `posting` with so many rows of three years, one of them partitioned by
month, and takes turns between them: batches of 32 rows for accounts by chance, an account's last rows, a request by its
id.
"""

import argparse
import asyncio
import dataclasses
import logging
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
import structlog

from bench import data
from bench.harness import QUICK, Bench, load_options
from bench.load import drive
from bench.stack import Stack
from loyalty.db.connect import connect_owner
from loyalty.engine.engine import Engine

MONTHS = 36
BATCH = 32
ROUNDS = 7
SIZES = """
    select relname, pg_relation_size(oid) as rows, pg_indexes_size(oid) as indexes,
        coalesce(pg_total_relation_size(reltoastrelid), 0) as long_values
    from pg_class where relkind = 'r' and relnamespace = 'loyalty'::regnamespace"""
WAL = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
SHAPE = """
    shard smallint not null, account bigint not null, number integer not null, kind loyalty.posting_kind not null,
    id text, subject text, occurred_at timestamptz not null, recorded_at timestamptz not null, facts text"""
ROW = """select 1, a, $2::int + n, 'purchase', 'p-' || $1 || '-' || n, null, $3, $3, repeat('x', 200)
    from unnest($4::bigint[]) with ordinality as one (a, n)"""


def bytes_of_purchases(bench: Bench, purchases: int) -> None:
    """Prints what members and purchases of 12 lines take, table by table."""
    members = bench.scale.members
    url = bench.bare_database("bytes", data.EXAMPLE)
    before = asyncio.run(_sizes(url))
    print(f"\n{members:,} members without points: {_total(before) / members:,.0f} bytes each")
    server = bench.server("bytes", url)
    done = 0
    while done < purchases:
        done += drive(server.url, "purchases", 5, **load_options(bench)).count
        print(f"  {done:,} purchases", flush=True)
    after = asyncio.run(_sizes(url))
    print(f"\n{done:,} purchases of {data.LINES} lines, bytes each:\n")
    print(f"{'table':20}{'rows':>10}{'indexes':>10}{'long values':>13}")
    for name in sorted(after, key=lambda name: -sum(after[name])):
        grown = [(now - then) / done for now, then in zip(after[name], before[name], strict=True)]
        if sum(grown) >= 1:
            print(f"{name:20}{grown[0]:>10,.0f}{grown[1]:>10,.0f}{grown[2]:>13,.0f}")
    print(f"{'all':20}{(_total(after) - _total(before)) / done:>10,.0f}")
    asyncio.run(archived(url, done, _total(before)))


async def archived(url: str, purchases: int, others: int) -> None:
    """Prints how fast the archive takes all postings in, what it writes, and what it leaves where it was."""
    before, wal = (await _sizes(url))["posting"], await data.scalar(url, WAL)
    engine = await Engine.open(url, pool_size=2)
    try:
        begun = time.perf_counter()
        counts = await engine.archive(await engine.now())
        seconds = time.perf_counter() - begun
    finally:
        await engine.close()
    print(
        f"\narchived {counts['postings']:,} postings in {seconds:.1f} s: {counts['postings'] / seconds:,.0f} a second"
    )
    wal = await data.scalar(url, WAL) - wal
    after = (await _sizes(url))["posting"]
    print(f"written: {wal / counts['postings']:,.0f} bytes of WAL a posting")
    for name, then, now in zip(("rows", "indexes"), before, after, strict=False):
        print(f"{name} of posting, vacuumed: {then / 1e6:,.1f} MB before, {now / 1e6:,.1f} after")
    await data.execute(url, "vacuum full loyalty.posting")  # what remains, closely packed
    sizes = await _sizes(url)
    moved = sum(sizes["archived_text"]) / purchases
    left = (_total(sizes) - others) / purchases - moved
    print(f"a purchase's bytes: {moved:,.0f} in the archive, {left:,.0f} where it was")


async def partitions(url: str, rows: int) -> None:
    """Prints what three things cost on one table and on one in monthly parts, as medians of turns."""
    connection = await connect_owner(url)
    try:
        await _fill(connection, rows)
        accounts = rows // 20
        number = MONTHS * 100_000  # above those that `_fill` gave
        now = datetime.now(UTC)

        async def insert(table: str) -> None:
            nonlocal number
            number += BATCH
            chosen = [random.randrange(accounts) for _ in range(BATCH)]
            await connection.execute(f"insert into {table} {ROW}", f"{number}", number, now, chosen)

        async def last(table: str) -> None:
            await connection.fetch(
                f"select number from {table} where shard = 1 and account = $1 order by number desc limit 10",
                random.randrange(accounts),
            )

        async def request(table: str) -> None:
            await connection.fetch(
                f"select number from {table} where shard = 1 and kind = 'purchase' and id = $1",
                f"p-{number}-7",
            )

        print(f"\n{rows:,} rows; microseconds, median of {ROUNDS} turns\n")
        print(f"{'':34}{'one table':>12}{'36 months':>12}")
        for title, work, times in (
            (f"insert {BATCH} rows, other accounts", insert, 200),
            ("the last ten of an account", last, 1_000),
            ("a request by its id", request, 1_000),
        ):
            plain, parts = await _turns(work, times)
            print(f"{title:34}{plain:>12,.0f}{parts:>12,.0f}", flush=True)
        for table in ("plain", "parts"):
            size = await connection.fetchval(
                "select sum(pg_indexes_size(oid)) from pg_class where relkind = 'r' and relname like $1 || '%'",
                table,
            )
            print(f"indexes of {table}: {int(size) / rows:,.0f} bytes a row")
    finally:
        await connection.close()


async def _fill(connection: asyncpg.Connection, rows: int) -> None:
    await connection.execute(f"""
        create table plain ({SHAPE}, primary key (shard, account, number));
        create unique index on plain (shard, kind, id);
        create table parts ({SHAPE}, primary key (shard, account, number, recorded_at))
            partition by range (recorded_at);
        create unique index on parts (shard, kind, id, recorded_at)""")
    begin = "date_trunc('month', now())"
    for month in range(MONTHS):
        bounds = await connection.fetchrow(
            f"select {begin} - make_interval(months => $1), {begin} - make_interval(months => $1 - 1)",
            MONTHS - 1 - month,
        )
        await connection.execute(
            f"create table parts_{month} partition of parts for values from ('{bounds[0]}') to ('{bounds[1]}')"
        )
        for table in ("plain", "parts"):
            await connection.execute(
                f"insert into {table} select 1, (random() * $1)::bigint, $2::int * 100000 + n, 'purchase',"
                " 'h-' || $2 || '-' || n, null, $3, $3, repeat('x', 200) from generate_series(1, $4::int) as n",
                rows // 20, month, bounds[0], rows // MONTHS,
            )  # fmt: skip
        print(f"  filled month {month + 1} of {MONTHS}", flush=True)
    await connection.execute("vacuum analyze plain, parts")


async def _turns(work: Callable[[str], Awaitable[None]], times: int) -> tuple[float, float]:
    taken: dict[str, list[float]] = {"plain": [], "parts": []}
    for _ in range(ROUNDS):
        for table, found in taken.items():
            begun = time.perf_counter()
            for _ in range(times):
                await work(table)
            found.append((time.perf_counter() - begun) / times * 1e6)
    return statistics.median(taken["plain"]), statistics.median(taken["parts"])


async def _sizes(url: str) -> dict[str, tuple[int, int, int]]:
    connection = await connect_owner(url)
    try:
        await connection.execute("vacuum")
        return {row["relname"]: tuple(row)[1:] for row in await connection.fetch(SIZES)}
    finally:
        await connection.close()


def _total(sizes: dict[str, tuple[int, int, int]]) -> int:
    return sum(sum(one) for one in sizes.values())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--purchases", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=3_000_000)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with Stack() as stack:
        bench = Bench(stack, dataclasses.replace(QUICK, members=asked.members), print)
        bytes_of_purchases(bench, asked.purchases)
        bench.stop_servers()
        asyncio.run(partitions(stack.database("growth"), asked.rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
