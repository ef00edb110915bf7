"""What looking back costs on a ledger of many entries: the liability and a balance of a past instant, and the audit.

    python -m bench.past_bench [--members 100000] [--entries 10] [--url POSTGRES]

With --url on a database that an earlier run loaded (it prints its address with --keep SECONDS), else on a new one.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from datetime import timedelta
from multiprocessing import active_children
from pathlib import Path

from bench import data
from loyalty.audit import audit
from loyalty.db.embedded import embedded_postgres
from loyalty.db.migrate import migrate
from loyalty.engine.engine import Engine


async def load(url: str, members: int, entries: int) -> None:
    """Members with so many entries each, one a posting."""
    await migrate(url)
    await data.put_program(url, data.EXAMPLE)
    await data.load_members(url, members)
    await data.load_lots(url, entries)


async def measure(url: str) -> None:
    """Prints the figures."""
    entries = await data.scalar(url, "select count(*) from entry")
    members = await data.scalar(url, "select count(*) from account")
    print(f"{members:,} members, {entries:,} entries", flush=True)
    engine = await Engine.open(url, pool_size=1)
    try:
        now = await engine.now()
        for days in (1, 200, 400):
            at = now - timedelta(days=days)
            start = time.perf_counter()
            found = await engine.liability(as_of=at, known_at=now)
            took = time.perf_counter() - start
            print(f"liability of {days} days ago: {took:.1f} s, {entries / took:,.0f} entries/s", flush=True)
            assert found.proven
        start = time.perf_counter()
        for number in range(1, 201):
            await engine.balance(f"m{number:08}", as_of=now - timedelta(days=200))
        print(f"a balance of the past: {(time.perf_counter() - start) * 5:.2f} ms")
    finally:
        await engine.close()
    start = time.perf_counter()
    audited = await audit(url)
    took = time.perf_counter() - start
    print(f"audit: {took:.1f} s, {entries / took:,.0f} entries/s, {audited.count} findings", flush=True)
    for process in active_children():
        process.join()  # only then its memory is counted
    for who, name in (
        (resource.RUSAGE_SELF, "this process"),
        (resource.RUSAGE_CHILDREN, "each of the audit's"),
    ):
        print(f"most memory of {name}: {resource.getrusage(who).ru_maxrss / 1024:,.0f} MB")


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--entries", type=int, default=10)
    parser.add_argument("--url")
    parser.add_argument("--keep", type=float, default=0)
    args = parser.parse_args()
    if args.url:
        await measure(args.url)
        return 0
    with tempfile.TemporaryDirectory(prefix="loyalty-past-", ignore_cleanup_errors=True) as folder:
        async with embedded_postgres(Path(folder) / "data", serving=True) as url:
            await load(url, args.members, args.entries)
            await measure(url)
            if args.keep:
                print(url, flush=True)
                await asyncio.sleep(args.keep)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
