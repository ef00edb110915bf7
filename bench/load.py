"""The load: wrk, compiled, in a process of its own, with the Lua scripts beside this file."""

import json
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LUA = Path(__file__).with_name("lua")
SPARE_SECONDS = 30.0
"""How much longer than asked a run may take before it is ended."""

MOST = 2_000_000
"""Requests of one run at most."""


class BenchError(Exception):
    """The bench cannot go on; the text is for people."""


@dataclass(frozen=True)
class Sample:
    """One measured stretch. `rate` is what was asked of the server and answered well, a second."""

    rate: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    count: int = 0
    refused: int = 0


def wrk() -> str:
    """The load generator. Raises BenchError with what to install."""
    found = shutil.which("wrk")
    if found is None:
        raise BenchError("the load generator wrk is missing: apt-get install wrk")
    return found


def drive(
    url: str,
    script: str,
    seconds: float,
    *,
    clients: int = 64,
    key: str = "",
    items: int = 1,
    tag: str = "",
    patient: bool = False,
    **options: object,
) -> Sample:
    """Load `url` with requests made by `lua/SCRIPT.lua` for so long; it stops at MOST requests.

    items: how many a request holds; the rate counts them. patient: connections that the server closes are not a
    failure. options: handed to the script.
    Raises BenchError when requests failed on the way (refusals are counted, not raised).
    """
    tag = tag or f"b{secrets.token_hex(5)}"
    given = {"key": key, "tag": tag, "seed": secrets.randbelow(2**31), "most": MOST, **options}
    command = [
        wrk(),
        "-t1",
        f"-c{clients}",
        f"-d{max(1, round(seconds))}s",
        "--timeout=20s",
        "-s",
        f"{script}.lua",
        url,
        "--",
    ]
    command += [f"{name}={value}" for name, value in given.items()]
    try:
        ran = subprocess.run(
            command, cwd=LUA, capture_output=True, text=True, timeout=seconds + SPARE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{script}: wrk did not end") from None
    result = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    if ran.returncode != 0 or not result:
        raise BenchError(f"{script}: wrk failed: {(ran.stderr or ran.stdout).strip()[-500:]}")
    found = json.loads(result[-1].removeprefix("RESULT "))
    if (found["failed"] and not patient) or found["timeouts"]:
        raise BenchError(
            f"{script}: {found['failed']} connections failed, {found['timeouts']} requests timed out"
        )
    good = found["requests"] - found["refused"]
    return Sample(
        good * items / found["seconds"],
        found["p50_ms"],
        found["p99_ms"],
        good * items,
        found["refused"] * items,
    )
