"""Balances as they stand now. Reads gather by themselves: what queued while a statement was under way becomes the next.

What is due counts as posted: expired lots SQL leaves out by itself; where more is due, Python posts it in memory. Such
accounts, and those with very many lots, wait in lanes of their own, so that they hold up no others.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
from asyncpg import Connection

from loyalty.engine.access import Access
from loyalty.engine.answers import encode
from loyalty.engine.due import post_due
from loyalty.engine.loading import load_tiers, make_context, verdict_due
from loyalty.engine.programs import ProgramVersion, load_programs
from loyalty.engine.reads import SOON, balance_of
from loyalty.errors import Overloaded, UnknownMember
from loyalty.ledger import store
from loyalty.ledger.chain import EPOCH
from loyalty.ledger.state import NEVER
from loyalty.members.directory import look_up, why_not_found
from loyalty.members.identity import Name, parse_reference

MOST = 32
"""Reads that one statement answers."""
SECOND_FROM = 16
"""How many must wait before a second statement goes while one is under way: meanwhile the process is not idle."""
MOST_JUDGED = 8
MOST_MANY = 2
MANY = 200
"""An account with more open lots is read apart."""
NO_LIMIT = 2**31 - 2
QUEUE = 4096
"""Reads that may wait in a lane; beyond it they are refused at once, with Retry-After."""
RETRY_AFTER_SECONDS = 1

_STATEMENT = "select * from read_balances($1, $2, $3, $4, $5, $6, $7, $8)"
_FRACTION = re.compile(rb"\.(\d{1,5})Z")


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


_Told = list[tuple[_Read, bytes]]


class _Lane:
    """A bounded queue of reads, of which `most` at a time are served together."""

    def __init__(self, serve: Callable[[list[_Read]], Awaitable[_Told]], most: int) -> None:
        self._serve = serve
        self._most = most
        self._queue: deque[_Read] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._gathering = False

    def put(self, read: _Read) -> None:
        if len(self._queue) >= QUEUE:
            read.fail(
                Overloaded("Too many reads wait for the ledger. Try again.", retry_after=RETRY_AFTER_SECONDS)
            )
            return
        self._queue.append(read)
        if not self._gathering:
            self._start()

    def _start(self) -> None:
        """A statement goes when none is under way; a second one beside it when many wait."""
        if self._queue and (
            not self._under_way or (self._under_way == 1 and len(self._queue) >= SECOND_FROM)
        ):
            self._gathering = True
            self._under_way += 1
            task = asyncio.create_task(self._next())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _next(self) -> None:
        """Serves what has gathered until its turn comes: reads that arrived together go together."""
        reads = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
        self._gathering = False
        self._start()
        told = await self._answer(reads)
        # The next statement goes before these answers do: Postgres works while they are sent.
        self._under_way -= 1
        if not self._gathering:
            self._start()
        for read, body in told:
            read.succeed(body)

    async def _answer(self, reads: list[_Read]) -> _Told:
        try:
            return await self._serve(reads)
        except Exception as error:  # noqa: BLE001  # whatever it is, every read gets an answer
            told: _Told = []
            if len(reads) > 1 and isinstance(error, asyncpg.DataError | ValueError):
                for read in reads:
                    told += await self._answer([read])
                return told
            for read in reads:
                read.fail(error)
            return told


class Balances:
    """The balances of one process's ledger."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._quick = _Lane(self._read_few, MOST)
        self._many = _Lane(self._read_many, MOST_MANY)
        self._judged = _Lane(self._judge, MOST_JUDGED)
        self._version = access.programs_known.at(datetime.now(UTC))
        """By whose terms SQL says what points are worth; where another is in force, Python reads, and this changes."""

    async def read(self, member: str) -> bytes:
        """A member's balance, lots, holds and tier as JSON. Raises UnknownMember, InvalidRequest, Overloaded."""
        read = _Read(member)
        self._quick.put(read)
        return await read.answer

    async def _read_few(self, reads: list[_Read]) -> _Told:
        return await self._read(reads, MANY)

    async def _read_many(self, reads: list[_Read]) -> _Told:
        return await self._read(reads, NO_LIMIT)

    async def _read(self, reads: list[_Read], many: int) -> _Told:
        """The answers of those that SQL can tell whole; the others go to their lanes."""
        stored = self._access.vault.stored
        asked = [(read, value) for read in reads for value in stored(read.name)]
        # One text each: an array costs asyncpg more than the rest of the call. Nothing in them holds a space.
        schemes = " ".join([read.name.scheme for read, _ in asked])
        values = " ".join([value for _, value in asked])
        version = self._version
        policy, lowest = version.program.redemption, version.program.tiers[0].id
        points, amount = (policy.points, policy.amount) if policy else (1, 0)
        unknown = set(reads)
        answers: _Told = []
        if asked:
            async with self._access.pool.acquire() as connection:
                for shard in range(self._access.shards):
                    now_us, newest, lines = await connection.fetchrow(
                        _STATEMENT, shard, schemes, values, SOON, many, points, amount, lowest
                    )
                    await self._know_programs(connection, newest)
                    now = EPOCH + timedelta(microseconds=now_us)
                    self._version = self._access.programs_known.at(now)
                    told = zip(asked, _instants(lines, now).split(b"\n"), strict=True)
                    unknown -= self._tell(told, answers, now, by=version)
                    if not unknown:
                        break
        if unknown:
            await self._call_unknown(list(unknown))
        return answers

    def _tell(
        self,
        told: Iterable[tuple[tuple[_Read, str], bytes]],
        answers: _Told,
        now: datetime,
        by: ProgramVersion,
    ) -> set[_Read]:
        """Adds the answers of reads, or sends them to their lanes. Left out are those of whom SQL knows nothing."""
        found = set()
        for (read, _), line in told:
            if not line:
                continue
            found.add(read)
            if line == b"many":
                self._many.put(read)
                continue
            body = self._with_idle(line, now) if line.startswith(b"idle") else line
            if body.startswith(b"{") and by is self._version:
                answers.append((read, body))
            else:
                self._judged.put(read)
        return found

    def _with_idle(self, line: bytes, now: datetime) -> bytes:
        """The answer of an account whose points all die together, from `idle,points,active_at,answer`; empty when they
        are dead."""
        _, points, active_us, body = line.split(b",", 3)
        dies_at = self._access.programs_known.idle_deadline(EPOCH + timedelta(microseconds=int(active_us)))
        if dies_at == NEVER:
            return body
        if dies_at <= now:
            return b""
        end = b'"expires_at":' + encode(dies_at)
        body = body.replace(b'"expires_at":null', end)
        if dies_at <= now + SOON:
            body = body.replace(b'"expiring":[', b'"expiring":[{"points":%s,%s}' % (points, end))
        return body

    async def _judge(self, reads: list[_Read]) -> _Told:
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
        await self._call_unknown([read for reads in named.values() for read in reads])
        return []

    async def _call_unknown(self, reads: Sequence[_Read]) -> None:
        """Fails the reads of names under which nobody was found."""
        doubt = await why_not_found(self._access.pool, self._access.vault, [read.name for read in reads])
        for read in reads:
            read.fail(
                UnknownMember(f"No member is called {read.member}.")
                if doubt is None or read.name.scheme == "id"
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


def _instants(lines: bytes, now: datetime) -> bytes:
    """Lines as SQL wrote them, with instants as the engine writes them: 2026-01-31T12:00:00Z, a fraction in full."""
    in_full = lines.count(b'"as_of"') if now.microsecond else 0
    if lines.count(b".") > in_full:
        lines = _FRACTION.sub(lambda found: b".%sZ" % found[1].ljust(6, b"0"), lines)
    return lines.replace(b" ", b"T")
