"""What the figures were measured on: without it they say little."""

import asyncio
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg

from bench.harness import Scale
from bench.load import wrk
from bench.stack import ROOT, Stack

PACKAGES = ("asyncpg", "httptools", "litestar", "msgspec", "uvicorn", "uvloop")
SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size",
            "checkpoint_timeout", "max_connections", "autovacuum", "wal_level", "jit", "random_page_cost")  # fmt: skip


def describe(stack: Stack, scale: Scale) -> dict[str, Any]:
    """Machine, versions and settings, as plain values."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "system": f"{platform.system()} {platform.release()}",
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "python": platform.python_version(),
            "wrk": subprocess.run([wrk(), "-v"], capture_output=True, text=True, check=False)
            .stdout.split("[")[0]
            .strip(),
            **{name: version(name) for name in PACKAGES},
        },
        "postgres": asyncio.run(_postgres(stack.postgres_url)),
        "scale": {name: getattr(scale, name) for name in scale.__dataclass_fields__},
        "arguments": sys.argv[1:],
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


async def _postgres(url: str) -> dict[str, str]:
    connection = await asyncpg.connect(url)
    try:
        found = {"version": (await connection.fetchval("show server_version"))}
        for name in SETTINGS:
            found[name] = await connection.fetchval("select current_setting($1)", name)
        return found
    finally:
        await connection.close()
