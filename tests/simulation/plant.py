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

from .databases import some_postgres

ROOT = Path(__file__).parents[2]


class Bug(Struct, frozen=True):
    name: str
    file: str
    old: str
    new: str


BUGS = (
    Bug(
        "a return may grant points",
        "loyalty/engine/returns.py",
        "min(award.points, before.kept_points)",
        "award.points",
    ),
    Bug(
        "what comes back in parts is rounded up",
        "loyalty/engine/returns.py",
        "return whole * returned // total if total else 0",
        "return -(-whole * returned // total) if total else 0",
    ),
    Bug(
        "a purchase returned whole stays the first purchase",
        "loyalty/engine/returns.py",
        "        book.head.purchases -= 1\n",
        "        pass\n",
    ),
    Bug(
        "a return does not give back the use of a limit",
        "loyalty/engine/returns.py",
        "times_kept - times, points_kept - points)",
        "0, 0)",
    ),
    Bug(
        "points are spent earliest earned first, whatever expires sooner",
        "loyalty/ledger/account.py",
        "return self.end_of(lot) or NEVER, lot.earned_at,",
        "return lot.earned_at, self.end_of(lot) or NEVER,",
    ),
    Bug(
        "pending points can be spent",
        "loyalty/ledger/account.py",
        "lot.spendable_from > now)",
        "lot.spendable_from > now and False)",
    ),
    Bug("given back is what was used first", "loyalty/ledger/book.py", "in reversed(uses):", "in uses:"),
    Bug(
        "redeeming is no activity", "loyalty/ledger/book.py", 'self._enter("redeem", -points)\n        self._activity(',
        'self._enter("redeem", -points)\n        repr(',
    ),
    Bug(
        "debt is not repaid by points given back",
        "loyalty/ledger/account.py",
        "repaid = min(head.debt, points)",
        "repaid = 0 if origin else min(head.debt, points)",
    ),
    Bug(
        "what is due at this very instant waits for the next",
        "loyalty/engine/due.py",
        "due[0] <= through:",
        "due[0] < through:",
    ),
    Bug(
        "points given back too late live for ever",
        "loyalty/ledger/life.py",
        "    return calendar.add_days(at, policy.restore_grace_days)\n",
        "    return calendar.add_days(at, policy.restore_grace_days) if not policy.restore_grace_days else None\n",
    ),
    Bug(
        "late purchases are judged by the program of today",
        "loyalty/engine/record.py",
        "version = context.programs.at(purchase.occurred_at)",
        "version = context.programs.at(book.recorded_at)",
    ),
    Bug("half_even rounds half up", "loyalty/rules/judge.py", '(rounding == "half_up" or points % 2)', "True"),
    Bug(
        "of several multipliers all add up",
        "loyalty/rules/stacking.py",
        'if mode == "best" and',
        'if mode == "none" and',
    ),
    Bug(
        "a rolling window is a day too long",
        "loyalty/tiers/window.py",
        "shift_days(shift_months(day, -window.months), 1)",
        "shift_months(day, -window.months)",
    ),
    Bug(
        "a tier is renewed from the day of its verdict, grace included",
        "loyalty/tiers/assess.py",
        "valid_until, verdict_at = _validity(program, calendar, calendar.day(end))",
        "valid_until, verdict_at = _validity(program, calendar, calendar.day(standing.verdict_at))",
    ),
    Bug(
        "a changed duplicate gets the old answer",
        "loyalty/engine/batch.py",
        "if same_account and recorded.fingerprint == item.fingerprint:",
        "if same_account:",
    ),
    Bug(
        "part of a hold captured is worth the whole",
        "loyalty/engine/redeem.py",
        "amount = taken.amount * points // taken.points",
        "amount = taken.amount",
    ),
    Bug(
        "SQL: times are counted, points of limits are not",
        "sql/functions/post.sql",
        "set times = c.times + excluded.times, points = c.points + excluded.points;",
        "set times = c.times + excluded.times;",
    ),
    Bug(
        "SQL: a budget forgets what was used before",
        "sql/functions/post.sql",
        "do update set points = b.points + excluded.points;",
        "do update set points = excluded.points;",
    ),
    Bug(
        "SQL: accounts with something due are not read whole",
        "sql/functions/lock_accounts.sql",
        "coalesce(a.due_at <= lock_accounts.now, false)",
        "false",
    ),
    Bug(
        "SQL: a used-up lot stays open with a point too many",
        "sql/functions/post.sql",
        "update open_lot o set remaining = o.remaining - used.points",
        "update open_lot o set remaining = o.remaining - used.points + (used.points > 700)::int",
    ),
    Bug(
        "SQL: the head forgets the last activity",
        "sql/functions/post.sql",
        "active_at = h.active_at,",
        "active_at = coalesce(a.active_at, h.active_at),",
    ),
    Bug(
        "SQL: a hold forgets its larger lots",
        "sql/functions/lock_accounts.sql",
        "where u.purpose in ('hold', 'merge');",
        "where u.purpose in ('hold', 'merge') and u.points < 400;",
    ),
)  # fmt: skip


def copy(to: Path, bug: Bug | None) -> None:
    """The package, its SQL and the simulation, with the bug in."""
    for name in ("loyalty", "sql", "tests"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    if bug is None:
        return
    file = to / bug.file
    text = file.read_text()
    if text.count(bug.old) < 1:
        raise SystemExit(f"{bug.name}: the text to change is not in {bug.file} any more")
    file.write_text(text.replace(bug.old, bug.new, 1))


def hunt(url: str, bug: Bug, seconds: float, seed: int) -> tuple[bool, int, float, str]:
    """Runs the simulation on the copy. Returns whether it was caught, after how many steps and seconds, and how."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy(Path(folder), bug)
        start = time.monotonic()
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.simulation.simulate", "--postgres", url, "--shrink", "0",
                "--seconds", str(seconds), "--seed", str(seed), "--steps", "2500",
            ],
            cwd=folder, env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        took = time.monotonic() - start
    steps = sum(int(found) for found in re.findall(r"^seed \d+: (\d+) steps in", done.stdout, re.MULTILINE))
    caught = "DIFFERENCE" in done.stdout
    if not caught and "0 differences" not in done.stdout:
        raise SystemExit(
            f"{bug.name}: the simulation did not run\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        )
    how = re.search(r"DIFFERENCE\n(.*)\n", done.stdout)
    return caught, steps, took, (how.group(1)[:60] if how else "")


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--postgres")
    args = parser.parse_args()
    missed = 0
    print("| planted | caught | steps | seconds |\n|---|---|---|---|", flush=True)
    async with some_postgres(args.postgres) as url:
        for bug in BUGS:
            if args.only in bug.name:
                caught, steps, took, how = await asyncio.to_thread(hunt, url, bug, args.seconds, args.seed)
                missed += not caught
                print(f"| {bug.name} | {'yes' if caught else 'NO'} | {steps:,} | {took:.0f} |", flush=True)
                print(f"  {how}", file=sys.stderr, flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
