"""Nobody writes into the ledger but through post(), and post() refuses what creates or loses a point."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from loyalty.audit import audit
from loyalty.db.connect import open_pool
from loyalty.ledger import store
from loyalty.ledger.book import Book
from loyalty.ledger.life import Life
from loyalty.ledger.rows import EndedHold, HeadRow
from loyalty.ledger.state import Journal
from tests.integration.everything import copy_of, everything, execute, value

IMMUTABLE = ["posting", "archived_text", "entry", "lot", "lot_use", "tier_change", "program_version"]
IMMUTABLE += ["reward_version", "stock_move", "voucher", "voucher_end", "act"]
PROJECTED = ["account", "open_lot", "open_hold", "counter", "budget", "reward_stock"]
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def template(postgres_url: str) -> Iterator[str]:
    with everything(postgres_url) as name:
        yield name


@pytest.fixture
async def ledger(postgres_url: str, template: str) -> AsyncIterator[str]:
    """The URL of a ledger in which everything happened, for this test alone."""
    async with copy_of(postgres_url, template) as url:
        yield url


@pytest.fixture
async def app(ledger: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the API has it."""
    pool = await open_pool(ledger, size=1)
    async with pool.acquire() as connection:
        yield connection
    await pool.close()


@pytest.mark.parametrize("table", [*IMMUTABLE, *PROJECTED])
async def test_the_application_may_not_write_into_the_ledger_itself(
    app: asyncpg.Connection, table: str
) -> None:
    column = {
        "budget": "rule", "program_version": "source", "reward_version": "terms", "stock_move": "units",
        "voucher_end": "code", "reward_stock": "units", "act": "target",
    }.get(table, "account")  # fmt: skip
    statements = [f"update {table} set {column} = {column}", f"delete from {table}", f"truncate {table}"]
    if table not in ("program_version", "reward_version", "act"):
        statements.append(f"insert into {table} select * from {table}")
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)


async def test_the_application_may_not_switch_the_guards_off(app: asyncpg.Connection) -> None:
    for statement in (
        "alter table entry disable trigger append_only",
        "drop trigger append_only on entry",
        "create trigger mine before insert on entry for each row execute function refuse_change()",
        "create or replace function post(smallint) returns void language sql as 'select'",
        "drop function open_account()",
        "update setting set shards = 2",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)


@pytest.mark.parametrize("table", IMMUTABLE)
async def test_the_owner_is_refused_by_the_trigger(ledger: str, table: str) -> None:
    before = await value(ledger, f"select md5(string_agg(t::text, '' order by t::text)) from {table} t")
    column = {"act": "at", "archived_text": "number"}.get(table, "recorded_at")
    for statement in (
        f"update {table} set {column} = {column}",
        f"delete from {table}",
        f"truncate {table} cascade",
    ):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await execute(ledger, statement)
        assert refused.value.sqlstate == "LY002"
    assert (
        await value(ledger, f"select md5(string_agg(t::text, '' order by t::text)) from {table} t") == before
    )


async def _decided(
    connection: asyncpg.Connection, member: str, moves: Callable[[Book], None], now: datetime | None = None
) -> tuple[list[HeadRow], Journal]:
    """What a sound decision about a member looks like, ready to be posted."""
    account = await connection.fetchval("select account from member where member_id = $1", member)
    locked = await store.lock_accounts(connection, 0, {account: True}, [], days=None)
    journal = Journal()
    book = Book(
        locked.heads[account], locked.lots.get(account, []), locked.holds.get(account, []), now or locked.now,
        lambda at: at, journal,
    )  # fmt: skip
    moves(book)
    return [book.head_row()], journal


def _earn(book: Book) -> None:
    book.begin("adjustment", "forged", None, book.recorded_at, 1)
    book.earn(100, Life(book.recorded_at, None), None)
    book.close(facts="{}", answer=b"{}", fingerprint=b"f")


def _redeem(book: Book) -> None:
    book.begin("redemption", "forged", None, book.recorded_at, 1)
    book.redeem(100)
    book.close(facts="{}", answer=b"{}", fingerprint=b"f")


def _release(book: Book) -> None:
    hold = book.holds["h1"]
    book.begin("release", None, "h1", book.recorded_at, 1)
    book.end_hold(hold, 0, lambda expires_at, idle: Life(book.recorded_at, expires_at, idle))
    book.close(facts="{}", answer=b"{}")


def _expire(book: Book) -> None:
    book.begin("expiry", None, None, book.recorded_at, 1)
    book.expire_lot(book.lots[2], book.recorded_at)
    book.close()


Doctor = Callable[[HeadRow, Journal], HeadRow]


def _head(**changes: object) -> Doctor:
    """Adds to fields of the head."""

    def doctor(head: HeadRow, journal: Journal) -> HeadRow:
        return head._replace(**{name: getattr(head, name) + by for name, by in changes.items()})

    return doctor


def _without(table: str, **changes: int) -> Doctor:
    def doctor(head: HeadRow, journal: Journal) -> HeadRow:
        getattr(journal, table).clear()
        return _head(**changes)(head, journal)

    return doctor


def _row(table: str, **changes: object) -> Doctor:
    """Sets fields of the last row."""

    def doctor(head: HeadRow, journal: Journal) -> HeadRow:
        rows = getattr(journal, table)
        rows[-1] = rows[-1]._replace(**changes)
        return head

    return doctor


def _both(*doctors: Doctor) -> Doctor:
    def doctor(head: HeadRow, journal: Journal) -> HeadRow:
        for step in doctors:
            head = step(head, journal)
        return head

    return doctor


def _gap_in_seq(head: HeadRow, journal: Journal) -> HeadRow:
    journal.entries[-1] = journal.entries[-1]._replace(seq=head.seq + 1)
    return head._replace(seq=head.seq + 1)


def _gap_in_number(head: HeadRow, journal: Journal) -> HeadRow:
    journal.postings[-1] = journal.postings[-1]._replace(number=head.number + 1)
    return head._replace(number=head.number + 1)


def _more_than_the_lot_has(head: HeadRow, journal: Journal) -> HeadRow:
    journal.uses[-1] = journal.uses[-1]._replace(points=90_000)
    journal.entries[-1] = journal.entries[-1]._replace(
        points=-90_000, balance_after=journal.entries[-1].balance_after + 100 - 90_000
    )
    return head._replace(balance=head.balance + 100 - 90_000)


def _for_another(head: HeadRow, journal: Journal) -> HeadRow:
    journal.lots[-1] = journal.lots[-1]._replace(account=head.account + 1)
    return head


def _ended_twice(head: HeadRow, journal: Journal) -> HeadRow:
    journal.ended.append(journal.ended[0])
    return head


def _ends_no_hold(head: HeadRow, journal: Journal) -> HeadRow:
    journal.ended.append(EndedHold(head.account, "h99"))
    return head


def _hash_of_nothing(head: HeadRow, journal: Journal) -> HeadRow:
    return head._replace(hash=bytes(32))


FORGERIES = {
    "an entry without a lot": (_earn, _without("lots", lots=-1), "LY001"),
    "a lot without an entry": (_earn, _without("entries", seq=-1, balance=-100), "LY001"),
    "a balance beyond the entries": (_earn, _head(balance=1), "LY001"),
    "a balance below the entries": (_earn, _head(balance=-1), "LY001"),
    "points held that nobody held": (_earn, _head(held=1), "LY001"),
    "debt that nobody owes": (_earn, _head(debt=1), "LY001"),
    "more lots than were granted": (_earn, _head(lots=1), "LY001"),
    "more entries than there are": (_earn, _head(seq=1), "LY001"),
    "a stale head": (_earn, _head(was_number=-1), "LY001"),
    "a gap in seq": (_earn, _gap_in_seq, "LY001"),
    "a gap in numbers": (_earn, _gap_in_number, "LY001"),
    "a wrong balance_after": (_earn, _row("entries", balance_after=5), "LY001"),
    "more points in the lot": (_earn, _row("lots", points=101), "LY001"),
    "more points in the entry": (_earn, _row("entries", points=101), "LY001"),
    "a lot of somebody who was not locked": (_earn, _for_another, "LY001"),
    "time that runs back": (_earn, _head(recorded_at=-timedelta(days=1000)), "LY001"),
    "an earn below zero": (_redeem, _row("entries", kind="earn"), "23514"),
    "a use that is missing": (_redeem, _without("uses"), "LY001"),
    "a use of less than was redeemed": (_redeem, _row("uses", points=1), "LY001"),
    "a lot used beyond its points": (_redeem, _more_than_the_lot_has, "23514"),
    "a lot used after it expired": (_redeem, _row("uses", recorded_at=FAR), "LY001"),
    "a lot used before it may be spent": (
        _redeem,
        _row("uses", recorded_at=FAR - timedelta(days=36500)),
        "LY001",
    ),
    "a lot that is used up": (_redeem, _row("uses", lot=1), "LY001"),
    "a lot that is not there": (_redeem, _row("uses", lot=99), "LY001"),
    "a lot expired before its time": (_expire, _head(), "LY001"),
    "a hold ended twice at once": (_release, _ended_twice, "LY001"),
    "a hold that nobody took": (_release, _ends_no_hold, "LY001"),
    "a hold that stays open though released": (_release, _without("ended"), "LY001"),
    "rows of a posting that is not there": (_earn, _without("postings", number=-1), "LY001"),
    "an entry of an older posting": (_earn, _row("entries", posting=1), "LY001"),
    "a lot of an older posting": (_earn, _row("lots", posting=1), "LY001"),
    "a use of an older posting": (_redeem, _row("uses", posting=1), "LY001"),
    "a lot for debt that nobody took on": (
        _earn,
        _without("entries", seq=-1, balance=-100, debt=100),
        "LY001",
    ),
    "a posting with another hash than its head": (_earn, _row("postings", hash=bytes(32)), "LY001"),
}


@pytest.mark.parametrize("what", FORGERIES)
async def test_a_decision_that_contradicts_the_books_is_refused_and_nothing_is_written(
    ledger: str, app: asyncpg.Connection, what: str
) -> None:
    moves, doctor, sqlstate = FORGERIES[what]
    tables = ["posting", "entry", "lot", "lot_use", "account", "open_lot", "open_hold"]
    count = " || ' ' || ".join(
        f"(select md5(string_agg(t::text, '' order by t::text)) from {t} t)" for t in tables
    )
    before = await value(ledger, f"select {count}")
    async with app.transaction():
        (head,), journal = await _decided(app, "ada", moves)
        with pytest.raises(asyncpg.PostgresError) as refused:
            async with app.transaction():
                await store.post(app, 0, [doctor(head, journal)], journal, [], [])
    assert refused.value.sqlstate == sqlstate
    assert await value(ledger, f"select {count}") == before
    assert (await audit(ledger)).clean


UNSEEN = {
    "a gap between lots": (_earn, _row("lots", lot=90)),
    "an origin that was never granted": (_earn, _row("lots", origin=90)),
    "a restore from nowhere": (_earn, _row("lots", origin=1)),
    "a redemption entered as an adjustment": (_redeem, _row("entries", kind="adjust")),
    "an earn entered as a restore": (_earn, _row("entries", kind="restore")),
    "a hash that does not follow": (_earn, _both(_row("postings", hash=bytes(32)), _hash_of_nothing)),
}


@pytest.mark.parametrize("what", UNSEEN)
async def test_what_moves_no_point_wrongly_passes_and_the_audit_names_it(
    ledger: str, app: asyncpg.Connection, what: str
) -> None:
    moves, doctor = UNSEEN[what]
    (head,), journal = await _decided(app, "ada", moves)
    await store.post(app, 0, [doctor(head, journal)], journal, [], [])
    assert not (await audit(ledger)).clean


@pytest.mark.parametrize("moves", [_earn, _redeem, _release])
async def test_the_same_decisions_are_taken_when_nothing_is_wrong_with_them(
    ledger: str, app: asyncpg.Connection, moves: Callable[[Book], None]
) -> None:
    async with app.transaction():
        (head,), journal = await _decided(app, "ada", moves)
        await store.post(app, 0, [head], journal, [], [])
    found = await audit(ledger)
    assert found.clean, found.rows


async def test_a_hold_that_has_ended_is_not_ended_again_later(ledger: str, app: asyncpg.Connection) -> None:
    async with app.transaction():
        heads, journal = await _decided(app, "ada", _release)
        await store.post(app, 0, heads, journal, [], [])
    again = await _decided(app, "ada", _earn)
    again[1].ended.extend(journal.ended)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await store.post(app, 0, again[0], again[1], [], [])
    assert refused.value.sqlstate == "LY001"
    assert (await audit(ledger)).clean
