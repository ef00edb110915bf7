"""Plants bugs, one at a time, in a copy of the package and its SQL, and tells how soon the simulation sees them.

    python -m tests.simulation.plant [--seconds 120] [--only NAME] [--postgres URL]

A bug is a replacement of text in one file; if the text is not there any more, the plant fails and has to be renewed.
"""

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from msgspec import Struct

from .bugs import BUGS, Bug
from .databases import some_postgres

ROOT = Path(__file__).parents[2]


def copy(to: Path, bug: Bug) -> None:
    """The package, its SQL and the simulation, with the bug in."""
    for name in ("loyalty", "sql", "tests"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for change in bug.changes():
        file = to / change.file
        text = file.read_text()
        if change.old not in text:
            raise SystemExit(f"{bug.name}: the text to change is not in {change.file} any more")
        file.write_text(text.replace(change.old, change.new, 1))


class Caught(Struct, frozen=True):
    """What a hunt came to. `by` is empty when the bug was not seen."""

    by: str
    steps: int
    seconds: float
    told: str


def hunt(url: str, bug: Bug, seconds: float, seed: int) -> Caught:
    """Runs the simulation on the copy until it sees the bug, or the time is over."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy(Path(folder), bug)
        start = time.monotonic()
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.simulation.simulate", "--postgres", url, "--shrink", "0",
                "--seconds", str(seconds), "--seed", str(seed), "--steps", "1500",
            ],
            cwd=folder, env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        took = time.monotonic() - start
    result = re.search(r"^([\d,]+) steps, \d+ seeds, (\d+) differences", done.stdout, re.MULTILINE)
    if result is None:
        raise SystemExit(
            f"{bug.name}: the simulation did not run\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        )
    told = done.stdout.partition("DIFFERENCE")[2].partition("\n")[2].partition("\n\n")[0]
    by = caught_by(told) if int(result.group(2)) else ""
    return Caught(by, int(result.group(1).replace(",", "")), took, told)


def caught_by(told: str) -> str:
    """In a few words what showed a difference."""
    if "engine: refused: internal" in told or told.startswith("Traceback"):
        return "refused by the database, or a crash"
    for start, words in (
        ("account ", "an invariant"),
        ("audit", "the audit"),
        ("item 0: open lots of", "open lots"),
        ("item 0: reading", "a read of balance or tier"),
        ("item 0: entries of", "the list of entries"),
        ("item 0: rewards of", "a read of rewards"),
        ("item 0: UseVoucher(", "the answer to a use"),
        ("item 0: Past(", "a read of the past"),
        ("item 0: Owed(", "the liability"),
        ("item 0: Merge(", "the answer to a merge"),
    ):
        if told.startswith(start):
            return words
    kind = re.match(r"item \d+: (\w+)\(", told)
    return f"the answer to a {kind.group(1).lower()}" if kind else "an answer"


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120, help="at most, for each bug")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="bugs whose name has this text")
    parser.add_argument("--postgres", help="URL of a Postgres whose user may create databases")
    args = parser.parse_args()
    bugs = [bug for bug in BUGS if args.only in bug.name]
    missed = 0
    print("| planted | where | caught by | steps | s |\n|---|---|---|---:|---:|", flush=True)
    async with some_postgres(args.postgres) as url:
        for bug in bugs:
            found = await asyncio.to_thread(hunt, url, bug, args.seconds, args.seed)
            missed += not found.by
            where = ", ".join(dict.fromkeys(f"`{Path(one.file).name}`" for one in bug.changes()))
            print(
                f"| {bug.name} | {where} | {found.by or '**not caught**'} | {found.steps:,} | {found.seconds:.0f} |",
                flush=True,
            )
            print("  " + found.told.replace("\n", "\n  ")[:400], file=sys.stderr, flush=True)
    print(f"\n{len(bugs) - missed} of {len(bugs)} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
