"""Balances as they stand now. Reads gather by themselves: what queued while a statement was under way becomes the next.

What is due counts as posted: expired lots SQL leaves out by itself; where more is due, Python posts it in memory. Such
accounts, and those with very many lots, wait in lanes of their own, so that they hold up no others.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import asyncpg
from asyncpg import Connection, Record

from loyalty.engine.access import Access
from loyalty.engine.answers import encode
from loyalty.engine.due import post_due
from loyalty.engine.loading import load_tiers, make_context, verdict_due
from loyalty.engine.programs import load_programs
from loyalty.engine.reads import SOON, balance_of
from loyalty.errors import Overloaded, UnknownMember
from loyalty.ledger import store
from loyalty.ledger.chain import EPOCH
from loyalty.ledger.state import NEVER
from loyalty.members.directory import look_up, why_not_found
from loyalty.members.identity import Name, parse_reference
from loyalty.rules.redeem import amount_for_points

MOST = 64
"""Reads that one statement answers."""
SECOND_FROM = 24
"""How many must wait before a second statement goes while one is under way: meanwhile the process is not idle."""
MOST_JUDGED = 8
MOST_MANY = 2
MANY = 200
"""An account with more open lots is read apart."""
NO_LIMIT = 2**31 - 2
QUEUE = 4096
"""Reads that may wait in a lane; beyond it they are refused at once, with Retry-After."""
RETRY_AFTER_SECONDS = 1

_STATEMENT = "select * from read_balances($1, $2, $3, $4, $5)"
_FRACTION = re.compile(r"\.(\d{1,6})\+00")


class _Read:
    """One read that waits."""

    __slots__ = ("answer", "member", "name")

    def __init__(self, member: str) -> None:
        self.member = member
        self.name = parse_reference(member)
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def succeed(self, body: bytes) -> None:
        if not self.answer.done():  # the caller may have gone away
            self.answer.set_result(body)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class _Lane:
    """A bounded queue of reads, of which `most` at a time are served together."""

    def __init__(self, serve: Callable[[list[_Read]], Awaitable[None]], most: int) -> None:
        self._serve = serve
        self._most = most
        self._queue: deque[_Read] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    def put(self, read: _Read) -> None:
        if len(self._queue) >= QUEUE:
            read.fail(
                Overloaded("Too many reads wait for the ledger. Try again.", retry_after=RETRY_AFTER_SECONDS)
            )
            return
        self._queue.append(read)
        self._start()

    def _start(self) -> None:
        """A statement goes when none is under way; a second one beside it when many wait."""
        while self._queue and (
            not self._under_way or (len(self._under_way) == 1 and len(self._queue) >= SECOND_FROM)
        ):
            reads = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
            task = asyncio.create_task(self._answer(reads))
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._start()

    async def _answer(self, reads: list[_Read]) -> None:
        try:
            await self._serve(reads)
        except Exception as error:  # noqa: BLE001  # whatever it is, every read gets an answer
            if len(reads) > 1 and isinstance(error, asyncpg.DataError | ValueError):
                for read in reads:
                    await self._answer([read])
            for read in reads:
                read.fail(error)


class Balances:
    """The balances of one process's ledger."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._quick = _Lane(self._read_few, MOST)
        self._many = _Lane(self._read_many, MOST_MANY)
        self._judged = _Lane(self._judge, MOST_JUDGED)

    async def read(self, member: str) -> bytes:
        """A member's balance, lots, holds and tier as JSON. Raises UnknownMember, InvalidRequest, Overloaded."""
        read = _Read(member)
        self._quick.put(read)
        return await read.answer

    async def _read_few(self, reads: list[_Read]) -> None:
        await self._read(reads, MANY)

    async def _read_many(self, reads: list[_Read]) -> None:
        await self._read(reads, NO_LIMIT)

    async def _read(self, reads: list[_Read], many: int) -> None:
        """Answers those that SQL can tell whole, and sends the others to their lanes."""
        named = _by_name(reads)
        spread = self._access.vault.spread(named)
        # One text each: an array costs asyncpg more than the rest of the call. Nothing in them holds a space.
        schemes, values = " ".join([scheme for scheme, _ in spread]), " ".join([value for _, value in spread])
        rows: list[Record] = []
        async with self._access.pool.acquire() as connection:
            for shard in range(self._access.shards):
                if len(rows) < len(named):
                    rows += await connection.fetch(_STATEMENT, shard, schemes, values, SOON, many)
            if rows:
                await self._know_programs(connection, rows[-1]["program_version"])
        if rows:
            places = list(spread.values())
            self._tell([named.pop(places[row["place"] - 1], []) for row in rows], rows)
        await self._call_unknown(named)

    def _tell(self, asked: list[list[_Read]], rows: list[Record]) -> None:
        now = EPOCH + timedelta(microseconds=rows[0]["now_us"])  # a timestamp in each row costs more
        version = self._access.programs_known.at(now)
        redemption, lowest = version.program.redemption, version.program.tiers[0].id
        as_of = encode(now).decode()
        for reads, row in zip(asked, rows, strict=True):
            _, lane, _, _, member_id, tier, balance, held, pending, debt, lists, idle, active_at = row
            if lane is None:
                lists = _instants(lists)
                if idle:
                    dies_at = self._access.programs_known.idle_deadline(active_at)
                    lane = "judge" if dies_at <= now else None
                    lists = _with_idle(lists, idle, dies_at, dies_at <= now + SOON)
            if lane is not None:
                waiting = self._many if lane == "many" else self._judged
                for read in reads:
                    waiting.put(read)
                continue
            available = balance + debt - held - pending
            amount = amount_for_points(redemption, available) if available > 0 else 0
            body = (
                f'{{"member_id":"{member_id}","as_of":{as_of},"balance":{balance},"available":{available},'
                f'"held":{held},"pending":{pending},"debt":{debt},"amount":{amount},{lists},"tier":"{tier or lowest}"}}'
            ).encode()
            for read in reads:
                read.succeed(body)

    async def _judge(self, reads: list[_Read]) -> None:
        """Posts in memory what is due on the accounts, and tells how they stand then."""
        named = _by_name(reads)
        in_shard: dict[int, dict[int, list[_Read]]] = defaultdict(lambda: defaultdict(list))
        async with self._access.pool.acquire() as connection:
            found = await look_up(connection, self._access.vault, list(named))
            for name, (shard, account) in found.items():
                in_shard[shard][account] += named.pop(name, [])
            for shard, asked in in_shard.items():
                locked = await store.read_accounts(connection, shard, list(asked))
                await self._know_programs(connection, locked.program_version)
                context = make_context(self._access.programs_known, locked)
                books = context.books.values()
                judged = [book.account for book in books if verdict_due(book.head, book.recorded_at)]
                if judged:
                    await load_tiers(context, connection, shard, judged)
                for book in books:
                    post_due(context, book, book.recorded_at)
                    body = encode(balance_of(context, book))
                    for read in asked[book.account]:
                        read.succeed(body)
                    await asyncio.sleep(0)  # others first
        await self._call_unknown(named)

    async def _call_unknown(self, named: dict[Name, list[_Read]]) -> None:
        """Fails the reads of names under which nobody was found."""
        doubt = await why_not_found(self._access.pool, self._access.vault, named)
        for name, reads in named.items():
            for read in reads:
                read.fail(
                    UnknownMember(f"No member is called {read.member}.")
                    if doubt is None or name.scheme == "id"
                    else doubt
                )

    async def _know_programs(self, connection: Connection, newest: int) -> None:
        if newest != self._access.programs_known.newest:
            self._access.programs_known = await load_programs(connection, self._access.programs_known)


def _by_name(reads: list[_Read]) -> dict[Name, list[_Read]]:
    named: dict[Name, list[_Read]] = {}
    for read in reads:
        named.setdefault(read.name, []).append(read)
    return named


def _instants(lists: str) -> str:
    """Lists as SQL wrote them, with instants as the engine writes them: 2026-01-31T12:00:00Z, a fraction in full."""
    if "." in lists:
        lists = _FRACTION.sub(lambda found: f".{found[1]:0<6}+00", lists)
    return lists.replace('+00"', 'Z"').replace(" ", "T")


def _with_idle(lists: str, points: int, dies_at: datetime, soon: bool) -> str:
    """Lists of an account whose points all die together at an instant."""
    if dies_at == NEVER:
        return lists
    text = encode(dies_at).decode()
    lists = lists.replace('"expires_at":null', f'"expires_at":{text}')
    return (
        lists.replace('"expiring":[', f'"expiring":[{{"points":{points},"expires_at":{text}}}')
        if soon
        else lists
    )
