"""The command `loyalty` as a shell runs it, and small files with the dirt that tills write."""

import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from tests.vault import SECRET_KEYS

COMMAND = [sys.executable, "-m", "loyalty.cli.main"]
HEADER = (
    "kind,purchase_id,member_ref,occurred_at,channel,store,line,sku,category,quantity,unit_price,"
    "line_amount,discount,coupon,original_purchase_id,original_line,match"
)


def environment(database_url: str | None, **settings: str) -> dict[str, str]:
    """The process's own, with these settings alone."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    found["PYTHONPATH"] = str(Path(__file__).parents[2])
    if database_url is not None:
        settings = {"DATABASE_URL": database_url, "SECRET_KEYS": SECRET_KEYS} | settings
    return found | {f"LOYALTY_{name}": value for name, value in settings.items()}


def loyalty(
    database_url: str | None, *arguments: str | Path, cwd: Path, expect: int = 0, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it must exit with `expect` and never show a stack trace."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(database_url, **settings),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == expect, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def imported(database_url: str, *arguments: str | Path, cwd: Path, expect: int = 0) -> dict[str, Any]:
    """What `loyalty import … --json` says."""
    done = loyalty(database_url, "import", "--json", *arguments, cwd=cwd, expect=expect)
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found


def row(kind: str, document: str, member: str, at: datetime, **said: object) -> str:
    """One line of a file in the default layout."""
    given: dict[str, object] = {"kind": kind, "purchase_id": document, "member_ref": member, "channel": "pos"}
    given |= {"occurred_at": at.isoformat(), "store": "S1", "line": 1, "sku": "X", "quantity": 1} | said
    return ",".join(str(given.get(column, "")) for column in HEADER.split(","))


def write(path: Path, rows: list[str]) -> Path:
    """A CSV file of these rows."""
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


START = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


def dirty_rows() -> list[str]:
    """A few documents, each with one kind of dirt. What becomes of them: DIRTY_COUNTS."""
    at = START
    hour = timedelta(hours=1)
    return [
        # twice the same SKU, a SKU in another case, a free line, a zero quantity with an amount
        row("purchase", "A1", "m1", at, line=1, sku="lamp", line_amount="10.005"),
        row("purchase", "A1", "m1", at, line=2, sku="LAMP", line_amount="5.00"),
        row("purchase", "A1", "m1", at, line=3, sku="lamp", line_amount="0"),
        row("purchase", "A1", "m1", at, line=4, sku="tea", quantity=0, line_amount="0.89"),
        # a coupon worth more than its line, a fraction of a unit
        row("purchase", "A2", "m2", at + hour, line=1, quantity="0.285", line_amount="8.00"),
        row("purchase", "A2", "m2", at + hour, line=2, quantity=0, line_amount="0", coupon="3.00"),
        # a whole order returned within minutes
        row("purchase", "A3", "m3", at + hour, quantity=74215, unit_price="1.04"),
        row("return", "R3", "m3", at + hour * 1.2, quantity=-74215, line_amount="-77183.60",
            original_purchase_id="A3", original_line=1),
        # one return over two purchases, one of them at its very time, and goods that nobody knows
        row("purchase", "A4", "m1", at + 2 * hour, line_amount="20.00"),
        row("return", "R4", "m1", at + 2 * hour, line=1, quantity=-1, line_amount="-20.00",
            original_purchase_id="A4", original_line=1),
        row("return", "R4", "m1", at + 2 * hour, line=2, quantity=-1, line_amount="-5.00",
            original_purchase_id="A1", original_line=2),
        row("return", "R4", "m1", at + 2 * hour, line=3, quantity=-1, line_amount="-1.00"),
        # more back than was paid; a purchase that is not in the file
        row("return", "R5", "m2", at + 3 * hour, quantity=-0.1, line_amount="-9.00",
            original_purchase_id="A2", original_line=1),
        row("return", "R6", "m2", at + 3 * hour, quantity=-1, line_amount="-9.00",
            original_purchase_id="OLD", original_line=1),
        # nobody's, and one that cannot be read
        row("purchase", "A5", "", at, line_amount="3.00"),
        row("return", "R7", "", at, quantity=-1, line_amount="-3.00"),
        row("purchase", "A6", "m4", at, line=1, line_amount="ten"),
        row("purchase", "A6", "m4", at, line=2, line_amount="4.00"),
        # a member whose name is no member_id
        row("purchase", "A7", "shop/4711", at, line_amount="6.00"),
    ]  # fmt: skip


DIRTY_COUNTS = {"purchases": 5, "returns": 3, "returns without a known purchase": 1}
DIRTY_REFUSED = {"return-exceeds-purchase": 1, "unknown-purchase": 1, "line_amount is no number": 1}


def many_rows(baskets: int, members: int, seed: int = 1) -> list[str]:
    """Clean purchases of many members, in time order."""
    draw = random.Random(seed)
    rows = []
    for number in range(baskets):
        at = START + timedelta(minutes=number)
        member = f"m{draw.randrange(members)}"
        for line in (1, 2):
            price = f"{draw.randrange(1, 9000) / 100:.2f}"
            rows.append(
                row("purchase", f"P{number}", member, at, line=line, sku=f"S{line}", line_amount=price)
            )
    return rows
