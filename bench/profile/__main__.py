"""Profile single purchases at full rate: py-spy on the server, pg_stat_statements in Postgres, CPU of each process.

`python -m bench.profile [--seconds 20]` writes bench/results/profile.json, which the page shows, and the raw stacks
beside it (for any flame graph tool). py-spy is looked for on the path; without it the Python part is left out.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg

from bench import data
from bench.harness import FULL, QUICK, Bench, load_options
from bench.load import drive
from bench.profile.steps import step_of
from bench.stack import ROOT, Stack

OUT = ROOT / "bench" / "results"
TICK = os.sysconf("SC_CLK_TCK")
_STATEMENTS = """
select regexp_replace(query, '\\s+', ' ', 'g') as query, toplevel, calls, total_exec_time * 1000 as us, rows,
       wal_bytes, shared_blks_hit + shared_blks_read as blocks
from pg_stat_statements s join pg_database d on d.oid = s.dbid
where d.datname = 'members' order by total_exec_time desc limit 40
"""
_SO_FAR = """
select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal,
       (select sum(fsyncs) from pg_stat_io where object = 'wal')::float8 as fsyncs,
       (select sum(autovacuum_count) from pg_stat_user_tables)::float8 as vacuums
"""
_TABLES = """
select relname, n_tup_ins, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where n_tup_ins + n_tup_upd > 0
order by n_tup_ins + n_tup_upd desc limit 12
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="fewer members")
    parser.add_argument("--clients", type=int, default=64)
    asked = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with Stack(preload="pg_stat_statements") as stack:
        bench = Bench(stack, QUICK if asked.quick else FULL, print)
        found = profile(bench, asked.seconds, asked.clients)
    (OUT / "profile.json").write_text(json.dumps(found, indent=1) + "\n")
    show(found)
    return 0


def profile(bench: Bench, seconds: int, clients: int) -> dict[str, Any]:
    """Two runs: one for Postgres' statements, one under py-spy, which slows the server a little."""
    url = bench.database()
    server = bench.server("members", url)
    options = load_options(bench) | {"clients": clients}
    drive(server.url, "purchases", 5, **options)
    asyncio.run(
        data.execute(url, "create extension pg_stat_statements; set pg_stat_statements.track = 'all'")
    )
    asyncio.run(data.execute(url, "alter database members set pg_stat_statements.track = 'all'"))
    bench.stop_servers()
    server = bench.server("members", url)
    drive(server.url, "purchases", 3, **options)
    asyncio.run(data.execute(url, "select pg_stat_statements_reset()"))
    asyncio.run(data.execute(url, "select pg_stat_reset()"))
    before = _counters(bench, server.process.pid, url)
    sample = drive(server.url, "purchases", seconds, **options)
    after = _counters(bench, server.process.pid, url)
    time.sleep(1.5)
    statements = asyncio.run(_fetch(url, _STATEMENTS))
    tables = asyncio.run(_fetch(url, _TABLES))
    spent = {name: after[name] - before[name] for name in before}
    batches = next(row["calls"] for row in statements if row["query"].startswith("select post("))
    stacks: Counter[str] = Counter()
    spied = _spy(
        server.process.pid, seconds, lambda: drive(server.url, "purchases", seconds + 2, **options), stacks
    )
    return {
        "rate": sample.rate, "count": sample.count, "p50_ms": sample.p50_ms, "p99_ms": sample.p99_ms,
        "seconds": seconds, "clients": clients, "spent": spent, "batches": batches,
        "statements": statements, "tables": tables, "python": dict(stacks),
        "python_samples": sum(stacks.values()), "rate_under_py_spy": spied,
    }  # fmt: skip


def _counters(bench: Bench, server: int, url: str) -> dict[str, float]:
    """CPU seconds of the server and of Postgres, WAL bytes, fsyncs and autovacuums so far."""
    row = asyncio.run(_fetch(url, _SO_FAR))[0]
    postgres = sum(_cpu(process) for process in bench.stack.postgres_processes())
    return {
        "server cpu s": _cpu(server),
        "Postgres cpu s": postgres,
        "WAL bytes": row["wal"],
        "WAL fsyncs": row["fsyncs"],
        "autovacuums": row["vacuums"],
    }


def _cpu(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def _spy(process: int, seconds: int, load: Any, stacks: Counter[str]) -> float | None:
    program = shutil.which("py-spy")
    if program is None:
        print("py-spy is not on the path (pip install py-spy): no profile of Python")
        return None
    raw = OUT / "profile.stacks"
    rates: list[float] = []
    thread = threading.Thread(target=lambda: rates.append(load().rate))
    thread.start()
    time.sleep(1)
    subprocess.run(
        [program, "record", "--pid", str(process), "--duration", str(seconds), "--rate", "250", "--format", "raw",
         "--output", str(raw), "--full-filenames"], check=False, capture_output=True,
    )  # fmt: skip
    thread.join()
    if raw.exists():
        for line in raw.read_text().splitlines():
            frames, _, count = line.rpartition(" ")
            stacks[step_of(frames.split(";"))] += int(count)
    return rates[0]


async def _fetch(url: str, statement: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url, server_settings={"search_path": "loyalty, public"})
    try:
        return [{key: float(value) if key in ("us", "wal_bytes") else value for key, value in row.items()}
                for row in await connection.fetch(statement)]  # fmt: skip
    finally:
        await connection.close()


def show(found: dict[str, Any]) -> None:
    """The tables, as text."""
    count, spent = found["count"], found["spent"]
    print(f"\n{found['rate']:,.0f} purchases/s, p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms")
    for name in ("server cpu s", "Postgres cpu s"):
        print(f"{name.removesuffix(' s'):34}{spent[name] / count * 1e6:9.1f} us a purchase")
    print(f"{'WAL':34}{spent['WAL bytes'] / count:9.0f} bytes a purchase")
    print(f"{'purchases a batch':34}{count / found['batches']:9.1f}")
    print(f"{'WAL fsyncs a second':34}{spent['WAL fsyncs'] / found['seconds']:9.1f}")
    print(f"{'autovacuums meanwhile':34}{spent['autovacuums']:9.0f}")
    if found["python_samples"]:
        cpu = spent["server cpu s"] / count * 1e6
        print("\nPython, us a purchase")
        for step, samples in sorted(found["python"].items(), key=lambda one: -one[1]):
            print(f"  {step:32}{samples / found['python_samples'] * cpu:9.1f}")
    print("\nSQL, us a purchase (inner statements are part of the outer)")
    for row in found["statements"][:24]:
        mark = " " if row["toplevel"] else "."
        us, wal = row["us"] / count, row["wal_bytes"] / count
        print(f"  {us:8.1f} {row['calls']:8} calls {wal:7.0f} B {mark} {row['query'][:110]}")
    print("\nrows a purchase: inserted, updated, of these HOT")
    for row in found["tables"]:
        each = "".join(f"{row[name] / count:8.2f}" for name in ("n_tup_ins", "n_tup_upd", "n_tup_hot_upd"))
        print(f"  {row['relname']:24}{each}")


if __name__ == "__main__":
    sys.exit(main())
