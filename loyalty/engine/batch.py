"""One batch: resolve, lock, decide, post, commit. The only write path; a single request is a batch of one.

Answers are set after the commit. What goes wrong with a batch as a whole sends its items through one by one, so that a
poisoned item spoils no other; a lost connection leaves the outcome unknown, and the same ids are asked again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

import asyncpg
import structlog

from loyalty import acts
from loyalty.acts import Actor
from loyalty.db.connect import transaction
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.answers import Answer
from loyalty.engine.context import Context
from loyalty.engine.decide import decide
from loyalty.engine.due import post_due
from loyalty.engine.loading import load_context, verdict_due
from loyalty.engine.requests import Addressed, address, fingerprint, normalised, recorded_form
from loyalty.errors import (
    IdConflict,
    Internal,
    InvalidRequest,
    LoyaltyError,
    Overloaded,
    UnknownClaim,
    UnknownMember,
    UnknownPurchase,
    UnknownRedemption,
)
from loyalty.ledger import store
from loyalty.ledger.state import Head
from loyalty.ledger.store import Recorded, RequestKey, Where
from loyalty.members.directory import where_are
from loyalty.members.identity import Name, parse_reference
from loyalty.rewards.store import settle
from loyalty.steps import step
from loyalty.types import Adjustment, Purchase, Request

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 1
SETTLE_SECONDS = 20.0
"""How long an unknown outcome is asked for again before the client is told to."""
SILENT_SECONDS = 8.0
"""How long a connection may say nothing in a transaction before it is cut: longer than a lock is waited for."""
ATTEMPTS = 50
"""How often a batch that met a conflict is decided again."""

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    ConnectionError,
    OSError,
    asyncio.TimeoutError,
)
"""The connection is gone: whether the commit happened is unknown."""
BUSY = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.TooManyConnectionsError)
UNABLE = (
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""Postgres cannot write: its disk or memory is full, it fails, or it is a standby. Nothing happened; it may pass."""
DECIDE_AGAIN = "LY003"
"""Raised by post() and settle_claims(): a budget or a stock no longer holds what was decided."""
CONFLICT = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


class Moved(Exception):
    """A member was merged or erased while the batch waited for the account: who is meant must be asked again."""


class Poisoned(Exception):
    """An item failed after it had moved something: the batch is decided again, one by one."""


@dataclass(slots=True, eq=False)
class Item:
    """One request on its way through."""

    request: Request
    actor: Actor | None = None
    address: Addressed = field(init=False)
    name: Name | None = None
    normal: Request = field(init=False)
    fingerprint: bytes = field(init=False)
    where: Where | None = None
    outcome: Answer | LoyaltyError | None = None

    def prepare(self) -> None:
        """Its one form, and what to look for. A request that has none is refused here."""
        try:
            self.address = address(self.request)
            if self.address.member is not None:
                self.name = parse_reference(self.address.member)
            self.normal = normalised(self.request)
            self.fingerprint = fingerprint(recorded_form(self.normal))
        except LoyaltyError as error:
            self.outcome = error
        except (ValueError, OverflowError):
            # Half a character, or a time beyond the calendar in UTC. Its neighbours have nothing to do with it.
            self.outcome = InvalidRequest("The request holds a text or a time that cannot be recorded.")


async def run_batch(engine: Access, items: Sequence[Item]) -> None:
    """Runs items in order and sets their outcomes. Never raises for what is wrong with an item."""
    with step("batch", requests=len(items)):
        for item in items:
            if item.outcome is None:
                item.prepare()
        await _run([item for item in items if item.outcome is None], engine)


async def _run(items: list[Item], engine: Access) -> None:
    """Attempts until every item has an outcome, or the ledger stays out of reach for too long."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + SETTLE_SECONDS
    pause = 0.02
    failed, kept_waiting = 0, False
    while failed < ATTEMPTS and (todo := [item for item in items if item.outcome is None]):
        try:
            await _attempt(engine, todo)  # gives at least the first of them its outcome
        except Exception as error:  # noqa: BLE001  # whatever it is, every item gets an answer
            failed += 1
            what = _meaning(error, len(todo))
            if what is _Then.SPLIT:
                log.warning("batch_split", items=len(todo), error=repr(error))
                for item in todo:
                    await _run([item], engine)
            elif what is _Then.BUSY:
                # The first time only those are sent away whose accounts somebody holds: the others waited for these.
                all_of_them, kept_waiting = kept_waiting or len(todo) == 1, True
                _set(
                    todo if all_of_them else await _held(engine, todo),
                    Overloaded(
                        "Others are busy with this account. Try again.", retry_after=RETRY_AFTER_SECONDS
                    ),
                )
            elif what is _Then.UNABLE:
                log.error("database_unable", items=len(todo), error=repr(error))
                _set(
                    todo,
                    Overloaded(
                        "The ledger cannot write just now. Nothing was changed; send the same request again.",
                        retry_after=RETRY_AFTER_SECONDS,
                    ),
                )
            elif what is _Then.FAIL:
                _fail(todo, error)
            elif what is _Then.SETTLE:
                log.warning("connection_lost", error=repr(error))
                if loop.time() + pause > give_up_at:
                    break
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
    _set(
        [item for item in items if item.outcome is None],
        Overloaded(
            "The ledger cannot be reached just now. Send the same request again, with the same id.",
            retry_after=RETRY_AFTER_SECONDS,
        ),
    )


async def _held(engine: Access, items: Sequence[Item]) -> list[Item]:
    """Those items whose accounts somebody else has locked; all of them if that cannot be told."""
    accounts: dict[int, set[int]] = defaultdict(set)
    for item in items:
        if item.where is not None:
            accounts[item.where[0]].add(item.where[1])
    free: set[Where] = set()
    try:
        async with engine.pool.acquire() as connection:
            for shard, wanted in accounts.items():
                rows = await connection.fetch(query("free_accounts"), shard, list(wanted))
                free |= {(shard, row["account"]) for row in rows}
    except (*LOST, asyncpg.PostgresError):
        return list(items)
    return [item for item in items if item.where is not None and item.where not in free]


class _Then(Enum):
    """What to do after an attempt that failed."""

    AGAIN = auto()
    SETTLE = auto()
    SPLIT = auto()
    BUSY = auto()
    UNABLE = auto()
    FAIL = auto()


def _meaning(error: Exception, items: int) -> _Then:
    if isinstance(error, Moved):
        return _Then.AGAIN
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate == DECIDE_AGAIN:
        return _Then.AGAIN
    # asyncpg reports a value that it cannot encode as an InterfaceError too, and as a ValueError.
    if isinstance(error, LOST) and not isinstance(error, ValueError):
        return _Then.SETTLE
    if isinstance(error, BUSY):
        return _Then.BUSY
    if isinstance(error, UNABLE):
        return _Then.UNABLE
    if items > 1:
        return _Then.SPLIT
    return _Then.AGAIN if isinstance(error, CONFLICT) else _Then.FAIL


def _set(items: Sequence[Item], outcome: Answer | LoyaltyError) -> None:
    """For those without an outcome yet: what was recorded before, or committed in another shard, stays answered."""
    for item in items:
        if item.outcome is None:
            item.outcome = outcome


def _fail(items: Sequence[Item], error: Exception) -> None:
    log.error("request_failed", exc_info=error, kinds=[type(item.request).__name__ for item in items])
    _set(items, Internal("Something went wrong on our side. Nothing was changed; the incident was logged."))


async def _attempt(engine: Access, items: list[Item]) -> None:
    async with engine.pool.acquire() as connection:
        with _cut_when_silent(connection):
            todo = await resolve(engine, connection, items)
        by_shard: dict[int, list[Item]] = defaultdict(list)
        for item in todo:
            assert item.where is not None
            by_shard[item.where[0]].append(item)
        for shard in sorted(by_shard):
            with _cut_when_silent(connection):
                await _run_shard(engine, connection, shard, by_shard[shard])


@contextmanager
def _cut_when_silent(connection: asyncpg.Connection) -> Iterator[None]:
    """A network that swallows what is sent says nothing for ever: cut, the outcome can be asked for."""
    silence = asyncio.get_running_loop().call_later(SILENT_SECONDS, connection.terminate)
    try:
        yield
    finally:
        silence.cancel()


async def resolve(engine: Access, connection: asyncpg.Connection, items: list[Item]) -> list[Item]:
    """Finds each item's account; answers what was recorded before. Returns the items to do now, in order.

    From the first item on that is about an id which several members claim, the rest waits for the next attempt: then
    it is known whose the id became.
    """
    names = list({item.name for item in items if item.name is not None})
    keys = list({key for item in items for key in _keys(item)})
    members = await where_are(connection, engine.vault, names) if names else {}
    found = await store.find_requests(connection, engine.shards, keys) if keys else {}
    coming: dict[RequestKey, set[Where]] = defaultdict(set)
    todo = []
    for item in items:
        own = item.address.key
        where = members.get(item.name) if item.name is not None else None
        if own is not None and own in found:
            item.outcome = replay(found[own], item, where)
            continue
        if item.address.subject is not None:
            subject = found.get(item.address.subject)
            claims = {(subject.shard, subject.account)} if subject else coming[item.address.subject]
            if len(claims) > 1:
                break
            where = next(iter(claims), None)
        if where is None:
            item.outcome = _unknown(item)
            continue
        taken = _paying_with(item, found)
        if taken is not None and (taken.shard, taken.account) != where:
            item.outcome = _belongs_to_another(
                item
            )  # in another shard, too, which is not seen under the lock
            continue
        item.where = where
        for key in _keys(item):
            coming[key].add(where)
        todo.append(item)
    return todo


def _keys(item: Item) -> list[RequestKey]:
    keys = [key for key in (item.address.key, item.address.subject) if key is not None]
    if isinstance(item.request, Purchase) and item.request.redemption is not None:
        keys.append(("redemption", item.request.redemption.redemption_id))
    return keys


def _paying_with(item: Item, found: dict[RequestKey, Recorded]) -> Recorded | None:
    """The redemption on record that a purchase is paid with, if that is so."""
    if not isinstance(item.request, Purchase) or item.request.redemption is None:
        return None
    return found.get(("redemption", item.request.redemption.redemption_id))


def _belongs_to_another(item: Item) -> IdConflict:
    assert isinstance(item.request, Purchase)
    assert item.request.redemption is not None
    return IdConflict(
        f"Redemption {item.request.redemption.redemption_id} belongs to another member. Use an id of its own."
    )


def _unknown(item: Item) -> LoyaltyError:
    subject = item.address.subject
    if subject is None:
        return UnknownMember(f"No member is called {item.address.member}. Enrol the member first.")
    if subject[0] == "purchase":
        return UnknownPurchase(
            f"No purchase {subject[1]} is recorded. If it is on its way, send this again later."
        )
    if subject[0] == "claim":
        return UnknownClaim(f"No claim {subject[1]} is recorded.")
    return UnknownRedemption(f"No redemption {subject[1]} is recorded.")


def replay(recorded: Recorded, item: Item, where: Where | None) -> Answer | LoyaltyError:
    """What is said to a request whose id is recorded: the answer of then, or that the id meant something else."""
    same_account = where is None or where[1] == recorded.account
    if same_account and recorded.fingerprint == item.fingerprint:
        return Answer(recorded.answer, replayed=True)
    assert item.address.key is not None
    kind, id = item.address.key
    return IdConflict(
        f"The {kind} id {id} was used before, for something else. Nothing was changed. Use an id of its own, or send"
        " the first request again unchanged."
    )


async def _run_shard(engine: Access, connection: asyncpg.Connection, shard: int, items: list[Item]) -> None:
    """Locks, decides, posts and commits the items of one shard; sets outcomes after the commit."""
    async with transaction(connection):
        context, outcomes = await decide_items(engine, connection, shard, items)
        heads = [
            book.head_row()
            for book in context.books.values()
            if book.head.number != book.was_number
            or (book.head.due_at is not None and book.head.due_at <= book.recorded_at)
        ]
        if heads:
            with step("post", accounts=len(heads)):
                await store.post(
                    connection, shard, heads, context.journal, context.counter_rows(), context.budget_rows()
                )
        if context.pins:
            accounts, years = zip(*context.pins, strict=True)
            await connection.execute(
                "select pin_birthdays($1, $2, $3)", accounts, years, list(context.pins.values())
            )
        await settle(connection, shard, context.settlement)
        await _note_acts(connection, items, outcomes)
    for item, outcome in zip(items, outcomes, strict=True):
        item.outcome = outcome


async def _note_acts(
    connection: asyncpg.Connection, items: list[Item], outcomes: list[Answer | LoyaltyError]
) -> None:
    """Writes down who adjusted points by hand."""
    for item, outcome in zip(items, outcomes, strict=True):
        request = item.request
        if item.actor is None or not isinstance(request, Adjustment) or not isinstance(outcome, Answer):
            continue
        if not outcome.replayed:
            points = request.points
            await acts.note(connection, "points.adjusted", request.adjustment_id, item.actor, points=points)


async def decide_items(
    engine: Access, connection: asyncpg.Connection, shard: int, items: list[Item]
) -> tuple[Context, list[Answer | LoyaltyError]]:
    """Locks the items' accounts and decides one after another, what is due first. Nothing is written."""
    accounts: dict[int, bool] = {}
    owners = []
    for item in items:
        assert item.where is not None
        account = item.where[1]
        owners.append(account)
        accounts[account] = accounts.get(account, False) or item.address.needs_lots
    keys = list({key for item in items for key in _keys(item)})
    requests = [item.normal for item in items]
    with step("lock", accounts=len(accounts)):
        context, found = await load_context(engine, connection, shard, accounts, keys, requests, owners)
    if any(_moved(context.books[account].head, item) for account, item in zip(owners, items, strict=True)):
        raise Moved
    for book in context.books.values():
        if book.head.due_at is not None and book.head.due_at <= book.recorded_at:
            post_due(context, book, book.recorded_at)
    return context, [_outcome(context, found, item) for item in items]


def _moved(head: Head, item: Item) -> bool:
    """Whether the account is no longer the one that the item means. An erased one still takes goods back."""
    return head.status == "merged" or (head.status == "erased" and item.name is not None)


def _outcome(context: Context, found: dict[RequestKey, Recorded], item: Item) -> Answer | LoyaltyError:
    assert item.where is not None
    own, account = item.address.key, item.where[1]
    if own is not None and own in found:
        return replay(found[own], item, item.where)
    book = context.books[account]
    number, active_at = book.head.number, book.head.active_at
    taken = _paying_with(item, found)
    if taken is not None and taken.account != account:
        return _belongs_to_another(item)
    try:
        body, replayed = decide(context, book, item.normal, item.fingerprint, own)
    except LoyaltyError as error:
        if book.head.number != number:
            raise Poisoned from error
        return error
    if verdict_due(book.head, book.recorded_at) or (active_at is None and book.head.active_at is not None):
        # A late promotion may have run out already, a first activity long ago ends idle points.
        post_due(context, book, book.recorded_at)
    if own is not None:
        found[own] = Recorded(item.where[0], account, item.fingerprint, body)
    for key in _keys(item):
        # The redemption inside a purchase has an id too, which no other request may have.
        found.setdefault(key, Recorded(item.where[0], account, None, body))
    return Answer(body, replayed)
