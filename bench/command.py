"""The command line of the server, run as anyone would."""

import os
import subprocess
import sys

from bench.load import BenchError
from bench.stack import ROOT, SECRET_KEYS

COMMAND_SECONDS = 3600.0


def start(arguments: list[str], database_url: str) -> "subprocess.Popen[str]":
    """Start `loyalty ARGUMENTS` on a database."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LOYALTY_")}
    given = {"LOYALTY_DATABASE_URL": database_url, "LOYALTY_SECRET_KEYS": SECRET_KEYS}
    return subprocess.Popen(
        [sys.executable, "-m", "loyalty.cli.main", *arguments], cwd=ROOT, env=kept | given,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def loyalty(arguments: list[str], database_url: str) -> str:
    """Run it to its end and return what it printed. Raises BenchError when it fails."""
    running = start(arguments, database_url)
    try:
        printed, _ = running.communicate(timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        raise BenchError(f"loyalty {arguments[0]} did not end") from None
    if running.returncode != 0:
        raise BenchError(f"loyalty {arguments[0]} failed:\n{printed[-2000:]}")
    return printed
