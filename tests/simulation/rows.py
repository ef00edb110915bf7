"""What was posted, from the rows: the promises of the ledger, and what the model says is there."""

from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg

from .difference import Difference, both
from .model import Model

INVARIANTS = Path(__file__).with_name("invariants.sql").read_text()
OPEN_LOTS = """
select m.member_id, o.spendable_from, o.expires_at, o.idle, sum(o.remaining)::bigint as points
from loyalty.member m join loyalty.open_lot o using (account)
where m.member_id = any ($1::text[]) and o.remaining > 0 group by 1, 2, 3, 4
"""
HEADS = """
select m.member_id, a.balance, a.held, a.debt
from loyalty.member m join loyalty.account a using (account) where m.member_id = any ($1::text[])
"""


async def check_rows(clock: asyncpg.Connection, model: Model, touched: set[str]) -> None:
    """The promises on the accounts that were posted to, from rows, and their open lots against the model's."""
    for member in touched:
        model.members[member].post_due(model.now)  # a first activity long ago ends idle points at once
    rows = await clock.fetch(INVARIANTS, sorted(touched))
    if rows:
        raise Difference("\n".join(f"account {row['account']}: {row['message']}" for row in rows))
    await _compare_lots(clock, model, touched)
    for row in await clock.fetch(HEADS, sorted(touched)):
        expected = model.members[row["member_id"]].balance(model.now)
        if any(row[name] != expected[name] for name in ("balance", "held", "debt")):
            raise both(f"head of {row['member_id']}", 0, expected, dict(row), None, row["member_id"])


async def _compare_lots(clock: asyncpg.Connection, model: Model, touched: set[str]) -> None:
    """The open lots of what was posted to, life by life: a wrong lot would show in answers only much later."""
    found: dict[str, Counter[Any]] = {member: Counter() for member in touched}
    for row in await clock.fetch(OPEN_LOTS, sorted(touched)):
        found[row["member_id"]][row["spendable_from"], row["expires_at"], row["idle"]] = row["points"]
    for member in touched:
        expected: Counter[Any] = Counter()
        for lot in model.members[member].open_lots():
            expected[lot.spendable_from, lot.expires_at, lot.idle] += lot.left
        if expected != found[member]:
            only = dict(expected - found[member]), dict(found[member] - expected)
            raise both(f"open lots of {member}", 0, *only, None, member)
