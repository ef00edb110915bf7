"""A small ledger in which everything happened, made through the engine."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from loyalty.db.migrate import migrate
from loyalty.engine import catalogue, vouchers
from loyalty.engine.engine import Engine
from loyalty.members.enrol import enrol
from loyalty.rewards.model import RewardTerms
from loyalty.types import (
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Enrolment,
    Purchase,
    PurchaseLine,
    Redemption,
    Release,
    Return,
    ReturnLine,
    Reversal,
    UnlinkedReturn,
)
from tests.vault import VAULT

PROGRAM = """
name = "Audited"
currency = "CNY"
time_zone = "Asia/Shanghai"
[points]
expiry = { kind = "after", months = 12 }
[redemption]
points = 1
amount = 1
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 50000 }
[[rules]]
id = "base"
kind = "spend"
points = 1
per_amount = 100
"""


@contextmanager
def everything(postgres_url: str) -> Iterator[str]:
    """The name of a database with that ledger, of which tests take copies."""
    name = f"loyalty_everything_{token_hex(6)}"
    asyncio.run(execute(postgres_url, f'create database "{name}" template template0'))
    try:
        asyncio.run(fill(url_of(postgres_url, name)))
        yield name
    finally:
        asyncio.run(execute(postgres_url, f'drop database "{name}" with (force)'))


@asynccontextmanager
async def copy_of(postgres_url: str, template: str) -> AsyncIterator[str]:
    """The URL of a copy of a database."""
    name = f"loyalty_copy_{token_hex(6)}"
    await execute(postgres_url, f'create database "{name}" template "{template}"')
    try:
        yield url_of(postgres_url, name)
    finally:
        await execute(postgres_url, f'drop database "{name}" with (force)')


TABLES = [
    "program_version", "posting", "archived_text", "entry", "lot", "lot_use", "tier_change", "account", "open_lot",
    "open_hold", "reward_version", "stock_move", "voucher", "voucher_end", "reward_stock",
]  # fmt: skip


async def keep_rows(url: str) -> None:
    """Puts all rows aside, for `put_rows_back`."""
    await execute(
        url, "create schema kept", *(f"create table kept.{table} as table {table}" for table in TABLES)
    )


async def put_rows_back(url: str) -> None:
    """Undoes whatever was done to rows: many times faster than another copy of the database."""
    await execute(
        url,
        "set session_replication_role = replica",
        f"begin; truncate {', '.join(TABLES)}",
        *(f"insert into {table} table kept.{table}" for table in TABLES),
        "commit",
    )


def url_of(postgres_url: str, database: str) -> str:
    return urlunsplit(urlsplit(postgres_url)._replace(path=f"/{database}"))


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": "loyalty"})
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def engine_of(url: str) -> AsyncIterator[Engine]:
    engine = await Engine.open(url, VAULT, pool_size=2)
    try:
        yield engine
    finally:
        await engine.close()


async def _forward(url: str, days: int) -> None:
    await execute(url, f"update setting set clock_offset = clock_offset + interval '{days} days'")


def purchase(id: str, member: str, at: datetime, amount: int) -> Purchase:
    return Purchase(
        purchase_id=id,
        member=member,
        occurred_at=at,
        channel="pos",
        lines=(PurchaseLine(sku="A-1", amount=amount),),
    )


async def fill(url: str) -> None:
    """Ada: 700 earned, silver, redeemed, held, captured in part, released, reversed, adjusted, returned. Bob: in debt
    and out of it. Cleo: expired, and her purchase archived. Dan: nothing. Eve: merged into Finn, with open holds, one
    captured there, and Gil, in debt, into him too. Hal: forgotten while points were held. Ivy: claimed rewards, one
    voucher used, one cancelled.
    """
    await migrate(url)
    async with engine_of(url) as engine:
        await engine.put_program(PROGRAM, "toml")
        for member in ("ada", "bob", "cleo", "dan", "eve", "finn", "gil", "hal", "ivy"):
            await enrol(engine.pool, VAULT, Enrolment(member_id=member), await engine.now())
        now = await engine.now()
        await engine.submit(purchase("c1", "cleo", now, 9000))
        await _forward(url, 400)
        await engine.expire()
        await engine.archive(now + timedelta(days=1))
        now = await engine.now()
        await engine.submit(purchase("p1", "ada", now, 10000))
        await engine.submit(purchase("p2", "ada", now, 60000))
        for request in (
            Redemption("r1", "ada", points=50),
            Redemption("h1", "ada", points=30, hold=True, hold_seconds=86400),
            Redemption("h2", "ada", points=40, hold=True),
            Redemption("h3", "ada", points=5, hold=True),
            Capture("h2", points=25),
            Release("h3"),
            Reversal("r1", points=10, reversal_id="v1"),
            Adjustment("a1", "ada", points=20, reason="sorry"),
            Adjustment("a2", "ada", points=-7, reason="mistake"),
            Return("t1", "p2", now, lines=(ReturnLine(line=1, amount=5000),)),
            purchase("b1", "bob", now, 10000),
            Redemption("r2", "bob", points=40),
            Redemption("r3", "bob", points=29),
            Return("t2", "b1", now),
            purchase("b2", "bob", now, 20000),
            UnlinkedReturn("t3", "bob", now, lines=(PurchaseLine(sku="A-1", amount=1000),)),
            purchase("e1", "eve", now, 30000),
            purchase("e2", "eve", now, 10000),
            Redemption("r4", "eve", points=50),
            Redemption("h4", "eve", points=300, hold=True),
            Redemption("h5", "eve", points=20, hold=True, hold_seconds=86400),
            purchase("f1", "finn", now, 40000),
            purchase("g1", "gil", now, 10000),
            Redemption("r5", "gil", points=90),
            Return("t4", "g1", now),
            purchase("i1", "hal", now, 10000),
            Redemption("h6", "hal", points=60, hold=True),
        ):
            await engine.submit(request)
        await engine.merge("eve", "finn")
        await engine.submit(Capture("h4", points=280))
        await engine.submit(Reversal("r4", points=10, reversal_id="v2"))
        await engine.submit(Return("t5", "e1", now, lines=(ReturnLine(line=1, amount=1000),)))
        await engine.merge("gil", "finn")
        await engine.submit(purchase("g2", "finn", now, 20000))
        await engine.erase("hal")
        await _claim(engine, now)


async def _claim(engine: Engine, now: datetime) -> None:
    await engine.submit(purchase("j1", "ivy", now, 40000))
    await catalogue.put_reward(engine, "lamp", RewardTerms("Lamp", "gift", 50), None)
    await catalogue.put_reward(engine, "cash", RewardTerms("Cash", "cash", 20, 100, unlimited=True), None)
    await catalogue.move_stock(engine, "lamp", "s1", 4, None, None)
    for claim_id, reward_id in (("k1", "lamp"), ("k2", "lamp"), ("k3", "lamp"), ("k4", "cash")):
        await engine.submit(Claim(claim_id, reward_id, "ivy"))
    await engine.submit(Cancellation("k2"))
    codes = {one.claim_id: one.code for one in (await vouchers.vouchers(engine, "ivy")).vouchers}
    await vouchers.use_voucher(engine, codes["k1"], "n1", None)


async def value(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url, server_settings={"search_path": "loyalty"})
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()
