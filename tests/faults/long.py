"""`python -m tests.faults.long`: every fault scenario at length, with progress, and what came of it as a table.

The bar: 50,000 acknowledged requests through the faults, none lost, none doubled, no wrong answer.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tests.faults.harness import Outcome

BAR = 50_000
MOST_SECONDS = 3600


def main() -> None:
    """Run them, print the table, exit with 1 if a scenario failed or the bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.long", description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000, help="acknowledged in each scenario, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", type=Path, help="also write the table to this file")
    parser.add_argument("-k", dest="only", default="", help="only scenarios of this name, as pytest's -k")
    asked = parser.parse_args()
    begun = time.monotonic()
    with TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        results.touch()
        environment = os.environ | {
            "LOYALTY_FAULT_REQUESTS": str(asked.requests),
            "LOYALTY_FAULT_SEED": str(asked.seed),
            "LOYALTY_FAULT_RESULTS": str(results),
        }
        here = str(Path(__file__).parent)
        tests = [sys.executable, "-m", "pytest", here, "-s", "-q", "-rsf", f"--timeout={MOST_SECONDS}"]
        code = subprocess.run([*tests, "-k", asked.only], env=environment, check=False).returncode
        outcomes = [msgspec.json.decode(line, type=Outcome) for line in results.read_bytes().splitlines()]
    text = table(outcomes)
    print(f"\n{text}\nseed {asked.seed}, {time.monotonic() - begun:,.0f} s")
    if asked.table is not None:
        asked.table.write_text(text + "\n")
    enough = asked.only or sum(outcome.acknowledged for outcome in outcomes) >= BAR
    if not enough:
        print(f"fewer than {BAR:,} requests were acknowledged: --requests takes more")
    sys.exit(0 if code == 0 and enough else 1)


def table(outcomes: list[Outcome]) -> str:
    """As Markdown, with sums."""
    lines = [
        "| scenario | faults | acknowledged | lost | doubled | wrong answers | longest outage, s |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.scenario} | {one.faults:,} | {one.acknowledged:,} | {one.lost} | {one.doubled} | {one.wrong} "
        f"| {one.outage:.1f} |"
        for one in outcomes
    ]
    sums = [
        sum(getattr(one, name) for one in outcomes)
        for name in ("faults", "acknowledged", "lost", "doubled", "wrong")
    ]
    longest = max((one.outage for one in outcomes), default=0.0)
    lines.append(
        "| **all** | " + " | ".join(f"**{number:,}**" for number in sums) + f" | **{longest:.1f}** |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
