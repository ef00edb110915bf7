"""One batch: resolve, lock, decide, post, commit. The only write path; a single request is a batch of one.

Answers are set after the commit. What goes wrong with a batch as a whole sends its items through one by one, so that a
poisoned item spoils no other; a lost connection leaves the outcome unknown, and the same ids are asked again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import asyncpg
import structlog

from loyalty import acts
from loyalty.db.connect import FAILURES, transaction
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.answers import Answer
from loyalty.engine.context import Context
from loyalty.engine.decide import decide
from loyalty.engine.due import post_due
from loyalty.engine.item import Item, belongs_to_another, paying_with, replay
from loyalty.engine.loading import load_context, verdict_due
from loyalty.engine.mishaps import Moved, Then, meaning
from loyalty.engine.resolve import resolve
from loyalty.errors import Internal, LoyaltyError, Overloaded
from loyalty.ledger import store
from loyalty.ledger.state import Head
from loyalty.ledger.store import Recorded, RequestKey, Where
from loyalty.rewards.store import settle
from loyalty.steps import step
from loyalty.types import Adjustment

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 1
SETTLE_SECONDS = 20.0
"""How long an unknown outcome is asked for again before the client is told to."""
SILENT_SECONDS = 8.0
"""How long a connection may say nothing in a transaction before it is cut: longer than a lock is waited for."""
AT_A_STRETCH = 16
"""How many are decided before the process looks what else there is to do."""
ATTEMPTS = 50
"""How often a batch that met a conflict is decided again."""


class Poisoned(Exception):
    """An item failed after it had moved something: the batch is decided again, one by one."""


async def run_batch(engine: Access, items: Sequence[Item], patient: bool = True) -> None:
    """Runs items in order and sets their outcomes. Never raises for what is wrong with an item.

    patient: wait for accounts that somebody else has locked. Else their items are left without an outcome.
    """
    with step("batch", requests=len(items)):
        for item in items:
            if item.outcome is None:
                item.prepare()
        await _run([item for item in items if item.outcome is None], engine, patient)


async def _run(items: list[Item], engine: Access, patient: bool) -> None:
    """Attempts until every item has an outcome, or the ledger stays out of reach for too long."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + SETTLE_SECONDS
    pause = 0.02
    failed, kept_waiting = 0, False
    left: set[Item] = set()
    while failed < ATTEMPTS and (
        todo := [item for item in items if item.outcome is None and item not in left]
    ):
        try:
            left |= await _attempt(
                engine, todo, patient
            )  # what it leaves is no longer to do, nor is the first
        except Exception as error:  # noqa: BLE001  # whatever it is, every item gets an answer
            failed += 1
            what = meaning(error, len(todo))
            if what is Then.SPLIT:
                log.warning("batch_split", items=len(todo), error=repr(error))
                for item in todo:
                    await _run([item], engine, patient)
                left.update(todo)
            elif what is Then.BUSY:
                # The first time only those are sent away whose accounts somebody holds: the others waited for these.
                all_of_them, kept_waiting = kept_waiting or len(todo) == 1, True
                _set(
                    todo if all_of_them else await _held(engine, todo),
                    Overloaded(
                        "Others are busy with this account. Try again.", retry_after=RETRY_AFTER_SECONDS
                    ),
                )
            elif what is Then.UNABLE:
                log.error("database_unable", items=len(todo), error=repr(error))
                _set(
                    todo,
                    Overloaded(
                        "The ledger cannot write just now. Nothing was changed; send the same request again.",
                        retry_after=RETRY_AFTER_SECONDS,
                    ),
                )
            elif what is Then.FAIL:
                _fail(todo, error)
            elif what is Then.SETTLE:
                log.warning("connection_lost", error=repr(error))
                if loop.time() + pause > give_up_at:
                    break
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
    _set(
        [item for item in items if item not in left],
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
    except FAILURES:
        return list(items)
    return [item for item in items if item.where is not None and item.where not in free]


def _set(items: Sequence[Item], outcome: Answer | LoyaltyError) -> None:
    """For those without an outcome yet: what was recorded before, or committed in another shard, stays answered."""
    for item in items:
        if item.outcome is None:
            item.outcome = outcome


def _fail(items: Sequence[Item], error: Exception) -> None:
    if isinstance(
        error, LoyaltyError
    ):  # a refusal of the whole attempt, such as a server without the secret in use
        _set(items, error)
        return
    log.error("request_failed", exc_info=error, kinds=[type(item.request).__name__ for item in items])
    _set(items, Internal("Something went wrong on our side. Nothing was changed; the incident was logged."))


async def _attempt(engine: Access, items: list[Item], patient: bool) -> set[Item]:
    """Gives at least the first item its outcome, or leaves it. Returns those left because their accounts are locked."""
    async with engine.pool.acquire() as connection:
        with _cut_when_silent(connection):
            todo = await resolve(engine, connection, items)
        by_shard: dict[int, list[Item]] = defaultdict(list)
        for item in todo:
            assert item.where is not None
            by_shard[item.where[0]].append(item)
        left: set[Item] = set()
        for shard in sorted(by_shard):
            with _cut_when_silent(connection):
                left |= await _run_shard(engine, connection, shard, by_shard[shard], patient)
        return left


@contextmanager
def _cut_when_silent(connection: asyncpg.Connection) -> Iterator[None]:
    """A network that swallows what is sent says nothing for ever: cut, the outcome can be asked for."""
    silence = asyncio.get_running_loop().call_later(SILENT_SECONDS, connection.terminate)
    try:
        yield
    finally:
        silence.cancel()


async def _run_shard(
    engine: Access, connection: asyncpg.Connection, shard: int, items: list[Item], patient: bool
) -> set[Item]:
    """Locks, decides, posts and commits the items of one shard; sets outcomes after the commit. Returns those left."""
    async with transaction(connection):
        context, outcomes = await decide_items(engine, connection, shard, items, patient)
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
    return {item for item in items if item.outcome is None}


async def _note_acts(
    connection: asyncpg.Connection, items: list[Item], outcomes: list[Answer | LoyaltyError | None]
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
    engine: Access, connection: asyncpg.Connection, shard: int, items: list[Item], patient: bool = True
) -> tuple[Context, list[Answer | LoyaltyError | None]]:
    """Locks the items' accounts and decides one after another, what is due first. Nothing is written.

    patient: wait for accounts that somebody else has locked. Else their items get None.
    """
    accounts: dict[int, bool] = {}
    owners = []
    for item in items:
        assert item.where is not None
        account = item.where[1]
        owners.append(account)
        accounts[account] = accounts.get(account, False) or item.address.needs_lots
    keys = list({key for item in items for key in item.keys})
    requests = [item.normal for item in items]
    with step("lock", accounts=len(accounts)):
        context, found = await load_context(
            engine, connection, shard, accounts, keys, requests, owners, patient
        )
    books = context.books
    if any(
        _moved(books[owner].head, item) for owner, item in zip(owners, items, strict=True) if owner in books
    ):
        raise Moved
    for book in books.values():
        if book.head.due_at is not None and book.head.due_at <= book.recorded_at:
            post_due(context, book, book.recorded_at)
    outcomes: list[Answer | LoyaltyError | None] = []
    for owner, item in zip(owners, items, strict=True):
        outcomes.append(_outcome(context, found, item) if owner in books else None)
        if len(outcomes) % AT_A_STRETCH == 0:
            await asyncio.sleep(0)  # an upload lets the tills through
    return context, outcomes


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
    taken = paying_with(item, found)
    if taken is not None and taken.account != account:
        return belongs_to_another(item)
    try:
        body, replayed = decide(context, book, item.normal, item.fingerprint, own)
    except LoyaltyError as error:
        if book.head.number != number:
            raise Poisoned from error
        return error.with_traceback(
            None
        )  # which would hold the whole batch, and itself, until garbage is collected
    moved = book.head.active_at != active_at
    if verdict_due(book.head, book.recorded_at) or (
        moved and (active_at is None or not context.programs.one_idle_end())
    ):
        # A late promotion may have run out already; an activity of the past, the first or under a shorter period, ends
        # idle points.
        post_due(context, book, book.recorded_at)
    if own is not None:
        found[own] = Recorded(item.where[0], account, item.fingerprint, body)
    for key in item.keys:
        # The redemption inside a purchase has an id too, which no other request may have.
        if key not in found:
            found[key] = Recorded(item.where[0], account, None, body)
    return Answer(body, replayed)
