"""The liability report: what is outstanding by tier and by month of expiry, with both sides of the books."""

from collections import defaultdict
from datetime import datetime

import msgspec
from asyncpg import Connection

from loyalty.calendar import just_before
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.answers import Liability, LiabilityPart
from loyalty.engine.context import Context
from loyalty.engine.due import post_due
from loyalty.engine.loading import change_of, load_tiers, make_context, verdict_due
from loyalty.engine.past import books_at, instants
from loyalty.engine.programs import Programs, ProgramVersion
from loyalty.ledger import store
from loyalty.ledger.book import Book
from loyalty.ledger.rows import TierRow
from loyalty.rules.redeem import amount_for_points
from loyalty.tiers.history import standing_of
from loyalty.tiers.model import Change

CHUNK = 2000
_COUNTERS = ("issued", "redeemed", "expired", "adjusted", "merged")


async def liability(
    engine: Access, as_of: datetime | None = None, known_at: datetime | None = None
) -> Liability:
    """What is owed now, or was at an instant of the past. Of now, accounts with something due are worked out one by one
    and all others in sets; of the past, from immutable rows, those on which anything was open, due or merged."""
    programs = await engine.programs()
    if as_of is not None or known_at is not None:
        return await _past(engine, programs, as_of, known_at)
    async with (
        engine.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        now = await store.ledger_now(connection)
        report = _Report(programs.at(now), now)
        sums = await connection.fetchrow(query("liability_sums"))
        assert sums is not None
        report.counters.update(msgspec.json.decode(sums["by_counter"]))
        report.members = sums["members"]
        zone = report.version.program.time_zone.key
        for row in await connection.fetch(query("liability_lots"), zone, now):
            report.add(row["tier"], row["month"], row["points"], row["held"], row["debt"])
        for shard in range(engine.shards):
            after = 0
            while True:
                rows = await connection.fetch(query("due_accounts"), shard, now, after, CHUNK, "any")
                if not rows:
                    break
                accounts = [row["account"] for row in rows]
                after = accounts[-1]
                await _add_due(engine, connection, shard, accounts, report)
    return report.result()


class _Report:
    def __init__(self, version: ProgramVersion, now: datetime) -> None:
        self.version = version
        self.now = now
        self.members = 0
        self.held = 0
        self.debt = 0
        self.by_tier: dict[str, int] = defaultdict(int)
        self.by_month: dict[str | None, int] = defaultdict(int)
        self.counters: dict[str, int] = defaultdict(int)
        self._months: dict[datetime, str] = {}

    def add(self, tier: str | None, month: str | None, points: int, held: int, debt: int) -> None:
        self.by_tier[tier or self.version.program.tiers[0].id] += points + held
        if points:
            self.by_month[month] += points
        self.held += held
        self.debt += debt

    def add_book(self, book: Book) -> None:
        """Adds an account on which nothing is due any more."""
        for lot in book.lots.values():
            self.add(book.head.tier, self.month(lot.expires_at), lot.remaining, 0, 0)
        if book.head.held or book.head.debt:
            self.add(book.head.tier, None, 0, book.head.held, book.head.debt)

    def month(self, at: datetime | None) -> str | None:
        if at is None:
            return None
        found = self._months.get(at)
        if found is None:
            # An end is exclusive: points that end with a month belong to that month.
            found = self._months[at] = self.version.calendar.local(just_before(at)).strftime("%Y-%m")
        return found

    def result(self) -> Liability:
        policy = self.version.program.redemption
        outstanding = sum(self.by_tier.values())
        issued, adjusted = self.counters["issued"], self.counters["adjusted"]
        redeemed, expired = -self.counters["redeemed"], -self.counters["expired"]
        balance = issued + adjusted - redeemed - expired + self.counters["merged"]
        order = [tier.id for tier in self.version.program.tiers]
        return Liability(
            as_of=self.now,
            currency=self.version.program.currency,
            members=self.members,
            outstanding=outstanding,
            amount=amount_for_points(policy, outstanding),
            held=self.held,
            debt=self.debt,
            balance=balance,
            issued=issued,
            redeemed=redeemed,
            expired=expired,
            adjusted=adjusted,
            by_tier=[
                LiabilityPart(points, amount_for_points(policy, points), tier=tier)
                for tier, points in sorted(self.by_tier.items(), key=lambda item: order.index(item[0]))
            ],
            by_expiry=[
                LiabilityPart(points, amount_for_points(policy, points), month=month)
                for month, points in sorted(self.by_month.items(), key=lambda item: item[0] or "9999-99")
            ],
            proven=balance == outstanding - self.debt
            and sum(self.by_month.values()) + self.held == outstanding,
        )


async def _past(
    engine: Access, programs: Programs, as_of: datetime | None, known_at: datetime | None
) -> Liability:
    async with (
        engine.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        at, known = instants(as_of, known_at, await store.ledger_now(connection))
        report = _Report(programs.at(at), at)
        for shard in range(engine.shards):
            after = 0
            while True:
                rows = await connection.fetch(query("accounts_after"), shard, after, CHUNK)
                if not rows:
                    break
                member_ids = {row["account"]: row["member_id"] or "" for row in rows}
                range_ = (after + 1, rows[-1]["account"])
                after = rows[-1]["account"]
                others = await _add_plain(connection, shard, range_, report, programs, known)
                if others:
                    their_ids = {account: member_ids[account] for account in others}
                    await _add_books(engine, connection, shard, their_ids, report, known)
    return report.result()


async def _add_plain(
    connection: Connection,
    shard: int,
    range_: tuple[int, int],
    report: _Report,
    programs: Programs,
    known: datetime,
) -> list[int]:
    """Adds the accounts of a range whose sums say all there is to know; returns the others."""
    others = []
    changes = await _known_changes(connection, shard, range_, report.now, known)
    rows = await connection.fetch(
        "select * from past_accounts($1, $2, $3, $4, $5)", shard, *range_, report.now, known
    )
    for account, issued, redeemed, expired, adjusted, active_at, ends, points, idle, plain in rows:
        standing = standing_of(report.version.program, changes[account]) if account in changes else None
        judged = (
            standing is not None and standing.verdict_at is not None and standing.verdict_at <= report.now
        )
        asleep = idle and (active_at is None or programs.idle_deadline(active_at) <= report.now)
        if not plain or judged or asleep:
            others.append(account)
            continue
        tier = standing.tier if standing is not None else None
        for end, left in zip(ends, points, strict=True):
            report.add(tier, report.month(end), left, 0, 0)
        debt = sum(points) + idle - issued - redeemed - expired - adjusted
        if idle or debt:
            report.add(tier, None, idle, 0, debt)
        for counter, moved in zip(_COUNTERS, (issued, redeemed, expired, adjusted), strict=False):
            report.counters[counter] += moved
        report.members += 1
    return others


async def _known_changes(
    connection: Connection, shard: int, range_: tuple[int, int], at: datetime, known: datetime
) -> dict[int, list[Change]]:
    """The changes of tiers by account, those that had happened and were known, in the order of recording."""
    changes: dict[int, list[Change]] = defaultdict(list)
    for row in await connection.fetch(query("past_tiers"), shard, *range_, at, known):
        changes[row["account"]].append(change_of(TierRow(*row)))
    return changes


async def _add_books(
    engine: Access,
    connection: Connection,
    shard: int,
    member_ids: dict[int, str],
    report: _Report,
    known: datetime,
) -> None:
    """Adds accounts on which anything was open, due or merged, each by its book."""
    context, sums = await books_at(engine, connection, shard, member_ids, report.now, known)
    for row in sums:
        for counter in _COUNTERS:
            report.counters[counter] += row[counter]
    for book in context.books.values():
        report.add_book(book)
    report.members += sum(book.head.number > 0 for book in context.books.values())
    _count_due(context, report)


async def _add_due(
    engine: Access, connection: Connection, shard: int, accounts: list[int], report: _Report
) -> None:
    locked = await store.read_accounts(connection, shard, accounts)
    context = make_context(engine.programs_known, locked)
    judged = [book.account for book in context.books.values() if verdict_due(book.head, report.now)]
    if judged:
        await load_tiers(context, connection, shard, judged)
    for book in context.books.values():
        post_due(context, book, report.now)
        report.add_book(book)
    _count_due(context, report)


def _count_due(context: Context, report: _Report) -> None:
    """Counts what is due and not posted: it is expired all the same."""
    for entry in context.journal.entries:
        report.counters["expired"] += entry.points
