"""A ledger for tests: members, requests and a clock in a few words, and a look at its rows at the end."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec
import pytest

from loyalty.db.connect import connect_owner
from loyalty.engine.answers import Answer, Balance
from loyalty.engine.engine import Engine
from loyalty.errors import LoyaltyError
from loyalty.members.enrol import enrol
from loyalty.types import (
    Adjustment,
    Engagement,
    Enrolment,
    Purchase,
    PurchaseLine,
    PurchaseRedemption,
    Redemption,
    Request,
    Return,
    ReturnLine,
)
from tests.invariants import assert_sound
from tests.vault import VAULT

START = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
"""When a ledger's clock begins: Monday noon in Shanghai."""

TIERS = """
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 500000 }
[[tiers]]
id = "gold"
qualify = { spend_amount = 2000000 }
"""
BASE = '[[rules]]\nid = "base"\nkind = "spend"\npoints = 1\nper_amount = 100\n'

E = TypeVar("E", bound=LoyaltyError)
_ids = count(1)


def program(
    points: str = "",
    redemption: str = "points = 1\namount = 1",
    tiers: str = TIERS,
    policy: str = "",
    rules: str = BASE,
) -> str:
    """A program of 1 point for each 1.00, each worth 0.01, in Shanghai; the arguments are the TOML of its tables."""
    return (
        'name = "Test"\ncurrency = "CNY"\ntime_zone = "Asia/Shanghai"\n'
        f"[points]\n{points}\n"
        + (f"[redemption]\n{redemption}\n" if redemption else "")
        + tiers
        + f"[tier_policy]\n{policy}\n{rules}\n"
    )


def expiry(kind: str = "after", **settings: Any) -> str:
    """The TOML of an expiry policy."""
    rest = "".join(f", {key} = {msgspec.json.encode(value).decode()}" for key, value in settings.items())
    return f'expiry = {{ kind = "{kind}"{rest} }}'


def fresh(kind: str) -> str:
    """An id that no test has used."""
    return f"{kind}-{next(_ids)}"


def line(amount: int, quantity: int | Decimal = 1, sku: str = "A", **fields: Any) -> PurchaseLine:
    return PurchaseLine(sku=sku, amount=amount, quantity=quantity, **fields)


def purchase(
    amount: int | Sequence[PurchaseLine] = 10000,
    at: datetime = START,
    member: str = "ada",
    id: str | None = None,
    pay: PurchaseRedemption | None = None,
    **fields: Any,
) -> Purchase:
    """A basket of one line, or of the lines given."""
    lines = (line(amount),) if isinstance(amount, int) else tuple(amount)
    fields = {"channel": "pos"} | fields
    return Purchase(
        purchase_id=id or fresh("p"), member=member, occurred_at=at, lines=lines, redemption=pay, **fields
    )


def goods_back(purchase_id: str, at: datetime = START, *lines: ReturnLine, id: str | None = None) -> Return:
    """A return of the lines, or of all that is left."""
    return Return(id or fresh("t"), purchase_id, at, lines or None)


def back(number: int = 1, quantity: int | Decimal | None = None, amount: int | None = None) -> ReturnLine:
    return ReturnLine(number, quantity, amount)


def redeem(points: int, member: str = "ada", id: str | None = None, **fields: Any) -> Redemption:
    return Redemption(id or fresh("r"), member, points=points, **fields)


def hold(points: int, member: str = "ada", id: str | None = None, seconds: int = 900) -> Redemption:
    return Redemption(id or fresh("h"), member, points=points, hold=True, hold_seconds=seconds)


def adjust(
    points: int, member: str = "ada", id: str | None = None, expires_at: datetime | None = None
) -> Adjustment:
    return Adjustment(id or fresh("a"), member, points, "test", expires_at)


def event(
    type: str = "survey",
    at: datetime = START,
    member: str = "ada",
    id: str | None = None,
    channel: str | None = None,
) -> Engagement:
    return Engagement(id or fresh("e"), member, type, at, channel)


class Ledger:
    """An engine on a database of its own, whose clock the test moves."""

    def __init__(self, engine: Engine, url: str) -> None:
        self.engine = engine
        self.url = url

    async def enrol(self, *members: str, **fields: Any) -> None:
        """Enrols members by their member_id."""
        for member in members:
            await enrol(
                self.engine.pool, VAULT, Enrolment(member_id=member, **fields), await self.engine.now()
            )

    async def put(self, source: str, effective_from: datetime | None = None) -> int:
        """Puts a version of the program and returns its number."""
        return (await self.engine.put_program(source, "toml", effective_from)).version

    async def do(self, request: Request) -> Any:
        """Submits a request and returns its answer, with attributes for fields."""
        return told(await self.engine.submit(request))

    async def refused(self, request: Request, error: type[E]) -> E:
        """Submits a request that must be refused so, and must change nothing of the books but what was due."""
        before = await self.requests()
        with pytest.raises(error) as caught:
            await self.engine.submit(request)
        assert await self.requests() == before, "a refused request left something behind"
        return caught.value

    async def all(self, *requests: Request) -> list[Any]:
        """Submits requests as one upload; answers and refusals in their places."""
        return [
            told(outcome) if isinstance(outcome, Answer) else outcome
            for outcome in await self.engine.submit_many(requests)
        ]

    async def move_clock(self, to: datetime | timedelta) -> datetime:
        """Moves the ledger's clock to an instant or by a time; it ticks on."""
        await set_clock(self.url, await self.engine.now() + to if isinstance(to, timedelta) else to)
        return await self.engine.now()

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.engine.pool.fetch(sql, *args)

    async def value(self, sql: str, *args: Any) -> Any:
        return await self.engine.pool.fetchval(sql, *args)

    async def requests(self) -> list[tuple[str, str]]:
        """Everything that a request posted; what was due is left out."""
        rows = await self.fetch(
            "select account, number, kind::text from posting where kind not in ('expiry', 'timeout', 'verdict')"
            " order by 1, 2"
        )
        return [tuple(row) for row in rows]

    async def balance(self, member: str = "ada", **at: datetime) -> Balance:
        """A member's balance as it is told."""
        return msgspec.json.decode(await self.engine.balance(member, **at), type=Balance)

    async def points(self, member: str = "ada") -> tuple[int, int, int, int]:
        """Available, held, pending, debt; they add up to the balance."""
        found = await self.balance(member)
        assert found.balance == found.available + found.held + found.pending - found.debt
        assert sum(lot.points for lot in found.lots) == found.available + found.pending
        return found.available, found.held, found.pending, found.debt

    async def available(self, member: str = "ada") -> int:
        return (await self.points(member))[0]

    async def lots(self, member: str = "ada") -> list[tuple[int, datetime | None]]:
        """Points and ends of the open lots, soonest to expire first."""
        found = await self.balance(member)
        return [(lot.points, lot.expires_at) for lot in found.lots]

    async def entries(self, member: str = "ada") -> list[tuple[str, int]]:
        """Kind and points of the entries, oldest first."""
        found = await self.engine.entries(member, limit=500)
        return [(entry.kind, entry.points) for entry in reversed(found.entries)]

    async def redemption(self, redemption_id: str) -> Any:
        """A redemption as it stands."""
        return await self.engine.redemption(redemption_id)

    async def standing(self, member: str = "ada") -> Any:
        """A member's tier with its dates, window and history."""
        return await self.engine.tier(member)

    async def tier(self, member: str = "ada") -> str:
        return (await self.standing(member)).tier

    async def assert_sound(self) -> None:
        """What must hold of the rows, by queries of the tests' own and by the audit."""
        await assert_sound(self.engine.pool, self.url)


async def set_clock(url: str, to: datetime) -> None:
    """Sets a ledger's clock; it ticks on."""
    connection = await connect_owner(url)
    try:
        await connection.execute("update setting set clock_offset = $1::timestamptz - clock_timestamp()", to)
    finally:
        await connection.close()


def told(answer: Answer) -> Any:
    """An answer with attributes for its fields, `replayed`, and the bytes as `body`."""

    def made(value: Any) -> Any:
        if isinstance(value, dict):
            return SimpleNamespace(**{key: made(part) for key, part in value.items()})
        return [made(part) for part in value] if isinstance(value, list) else value

    answered = made(msgspec.json.decode(answer.body))
    answered.replayed, answered.body = answer.replayed, answer.body
    return answered


@asynccontextmanager
async def open_ledger(
    url: str, source: str | None = None, *members: str, at: datetime | None = START, pool_size: int = 4
) -> AsyncIterator[Ledger]:
    """A ledger with a program and members, its clock at `at`; at the end its rows must be sound."""
    if at is not None:
        await set_clock(url, at)
    engine = await Engine.open(url, VAULT, pool_size=pool_size)
    try:
        ledger = Ledger(engine, url)
        if source is not None:
            await ledger.put(source)
        await ledger.enrol(*members)
        yield ledger
        await ledger.assert_sound()
    finally:
        await engine.close()


def day(year: int, month: int, number: int, hour: int = 0) -> datetime:
    """An instant of Shanghai's wall clock."""
    return datetime.combine(date(year, month, number), datetime.min.time(), UTC) + timedelta(hours=hour - 8)
