"""What is to come of tiers: verdicts that are due or will be, and who is warned before a fall. Nothing is written."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg
from asyncpg import Record

from loyalty.calendar import just_before
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.programs import BEGINNING, Programs, load_programs
from loyalty.engine.tier_answers import NextTier, ProjectedTier, TierWarning, TierWarnings, WindowAnswer
from loyalty.errors import FieldError, InvalidRequest
from loyalty.ledger import store
from loyalty.ledger.chain import EPOCH, microseconds
from loyalty.tiers.assess import verdict
from loyalty.tiers.history import standing_after
from loyalty.tiers.model import Change, Qualifying, Standing
from loyalty.tiers.outlook import outlook
from loyalty.tiers.window import window_start

CHUNK = 500
"""Accounts that are read together."""
REACHED = ("active", "blocked")
"""Accounts with a member behind them."""


def projected(programs: Programs, standing: Standing, rows: Sequence[Qualifying]) -> ProjectedTier | None:
    """The next verdict on a standing on which nothing is due, as it is told; None in the lowest tier."""
    if standing.verdict_at is None:
        return None
    version = programs.at(standing.verdict_at)
    coming = outlook(version.program, version.calendar, standing, rows)
    if coming is None:
        return None
    change, found, needed = coming.change, coming.found, coming.needed
    return ProjectedTier(
        tier=change.tier,
        at=change.at,
        reason="renewal" if change.reason == "renewal" else "review",
        valid_until=change.valid_until,
        window=WindowAnswer(found.spend_amount, found.visits, found.from_, coming.until),
        needed=NextTier(needed.tier, needed.spend_amount, needed.visits, needed.need) if needed else None,
    )


def elapsed(
    programs: Programs, standing: Standing, rows: Sequence[Qualifying], through: datetime
) -> tuple[list[Change], Standing]:
    """The verdicts that are due up to `through`, in turn, and the standing that they leave."""
    changes: list[Change] = []
    while standing.verdict_at is not None and standing.verdict_at <= through:
        version = programs.at(standing.verdict_at)
        change = verdict(version.program, version.calendar, standing, rows)
        standing = standing_after(version.program, standing, change)
        changes.append(change)
    return changes, standing


async def rows_of_windows(
    connection: asyncpg.Connection, programs: Programs, shard: int, valid_until: Mapping[int, datetime]
) -> dict[int, list[Qualifying]]:
    """What counts for the verdicts on accounts, from the one on a validity that ends at `valid_until` on."""
    since = {account: _first_window(programs, until) for account, until in valid_until.items()}
    found: dict[int, list[Qualifying]] = {account: [] for account in since}
    for row in await connection.fetch(query("qualifying_since"), shard, list(since), list(since.values())):
        found[row["account"]].append(Qualifying(row["qualifying_at"], row["qualifying_amount"]))
    return found


def _first_window(programs: Programs, valid_until: datetime) -> datetime:
    """The earliest instant that any version's verdict on this validity, or on a later one, can look at."""
    end = just_before(valid_until)
    return min(
        window_start(version.program.tier_policy.window, version.calendar, end) for version in programs.all
    )


def standing_of_row(row: Record) -> Standing:
    """Where an account of `verdict_accounts.sql` stands."""
    return Standing(
        tier=row["tier"],
        since=row["tier_since"],
        valid_until=row["tier_valid_until"],
        verdict_at=row["tier_verdict_at"],
        ground_at=row["tier_ground_at"],
        judged_at=row["tier_judged_at"],
    )


async def tier_warnings(engine: Access, within_days: int, cursor: str | None, limit: int) -> TierWarnings:
    """A page of the members whose tier would fall within so many days if nothing more were bought, soonest first.

    A page is full unless it is the last. What is due already counts as decided. Raises InvalidRequest for a cursor that
    is not ours.
    """
    shard, after = _read_cursor(cursor)
    warnings: list[TierWarning] = []
    last = ""
    async with (
        engine.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        now = await store.ledger_now(connection)
        programs = engine.programs_known = await load_programs(connection, engine.programs_known)
        through = now + timedelta(days=within_days)
        while shard < engine.shards:
            rows = await connection.fetch(query("verdict_accounts"), shard, through, *after, CHUNK)
            ends = {row["account"]: row["tier_valid_until"] for row in rows}
            windows = await rows_of_windows(connection, programs, shard, ends)
            for row in rows:
                after = row["tier_verdict_at"], row["account"]
                found = _warning(programs, row, windows[row["account"]], now, through)
                if found is None:
                    continue
                if len(warnings) == limit:
                    return TierWarnings(now, through, warnings, last)
                warnings.append(found)
                last = _cursor(shard, after)
            if len(rows) < CHUNK:
                shard, after = shard + 1, (BEGINNING, 0)
    return TierWarnings(now, through, warnings, None)


def _warning(
    programs: Programs, row: Record, rows: Sequence[Qualifying], now: datetime, through: datetime
) -> TierWarning | None:
    if row["status"] not in REACHED:
        return None
    _, standing = elapsed(programs, standing_of_row(row), rows, now)
    if standing.verdict_at is None or standing.verdict_at > through:
        return None
    coming = projected(programs, standing, rows)
    if coming is None or coming.reason == "renewal":
        return None
    return TierWarning(row["member_id"], standing.tier, standing.since, coming)


def _cursor(shard: int, after: tuple[datetime, int]) -> str:
    return f"{shard}-{microseconds(after[0])}-{after[1]}"


def _read_cursor(cursor: str | None) -> tuple[int, tuple[datetime, int]]:
    if cursor is None:
        return 0, (BEGINNING, 0)
    parts = cursor.split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 17 for part in parts):
        raise InvalidRequest(
            "The cursor is not one of ours: pass `next_cursor` as it came, or none.",
            errors=[FieldError("cursor", f"{cursor[:40]!r} is not a cursor")],
        )
    shard, at, account = map(int, parts)
    return shard, (EPOCH + timedelta(microseconds=at), account)
