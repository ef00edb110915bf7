"""What the bench works on: baskets that look like a shop's, members, and members with points, loaded set-based."""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from loyalty.db.connect import connect_owner
from loyalty.engine.engine import Engine

BASKETS = 2_000
LINES = 12
EXAMPLE = Path(__file__).with_name("programs") / "example.toml"
SQL = Path(__file__).with_name("sql")

_CATEGORIES = ("lighting", "textiles", "kitchen", "storage", "garden", "bath", "decoration", "furniture")
_STEMS = ("LAMP", "TOWEL", "PAN", "BOX", "POT", "VASE", "RUG", "SHELF", "CUP", "FRAME", "CHAIR", "HOOK")


def write_baskets(path: Path, lines: int = LINES, seed: int = 7) -> Path:
    """Write the rest of a purchase's JSON, from the channel on: one basket a line."""
    chance = random.Random(seed)
    path.write_text("".join(basket(chance, lines) + "\n" for _ in range(BASKETS)))
    return path


def basket(chance: random.Random, lines: int) -> str:
    """One basket of `lines` lines as JSON without its opening brace."""
    body = {
        "channel": chance.choice(("pos", "pos", "pos", "online")),
        "store": f"S-{chance.randrange(1, 120):03}",
        "terminal": f"T-{chance.randrange(1, 9)}",
        "lines": [_line(chance) for _ in range(lines)],
    }
    return msgspec.json.encode(body).decode().removeprefix("{")


def _line(chance: random.Random) -> dict[str, Any]:
    stem = chance.randrange(len(_STEMS))
    quantity = chance.choice((1, 1, 1, 1, 2, 2, 3, 6))
    price = chance.choice((490, 990, 1290, 1990, 2490, 3990, 4990, 12900))
    line: dict[str, Any] = {
        "sku": f"{_STEMS[stem]}-{int(chance.paretovariate(0.8)) % 300 + 1}",
        "amount": price * quantity,
        "category": "postage" if chance.random() < 0.02 else _CATEGORIES[stem % len(_CATEGORIES)],
    }
    if quantity > 1:
        line["quantity"] = quantity
    if chance.random() < 0.2:
        line["list_amount"] = line["amount"] * 5 // 4
    return line


async def load_members(url: str, members: int) -> None:
    """Members m00000001 and on, with accounts that nothing happened to yet."""
    connection = await connect_owner(url)
    try:
        await connection.execute((SQL / "members.sql").read_text().replace(":members", str(int(members))))
        await connection.execute("vacuum analyze account, member, identifier")
    finally:
        await connection.close()


async def put_program(url: str, file: Path) -> None:
    """Put a program in force from the beginning of time; before anything is posted."""
    engine = await Engine.open(url, pool_size=1)
    try:
        await engine.put_program(file.read_text(), "toml")
    finally:
        await engine.close()


async def load_lots(
    url: str, lots: int, *, points: int = 10_000, due: int = 0, first: int = 1, last: int = 2**31
) -> None:
    """Give each member of a range `lots` more lots, one posting each, chained as the engine chains them.

    due: so many of them expired a while ago and nobody has noticed yet.
    """
    parts = os.cpu_count() or 1

    async def load(part: int) -> None:
        connection = await connect_owner(url)
        try:
            await connection.execute("set work_mem = '256MB'; set synchronous_commit = off")
            for place in range(lots):
                life = "-1 hour" if place < due else f"{90 + 10 * place} days"
                await connection.execute(
                    statement.replace(":points", str(points)).replace(":life", f"'{life}'")
                    .replace(":first", str(first)).replace(":last", str(last))
                    .replace(":parts", str(parts)).replace(":part", str(part))
                )  # fmt: skip
        finally:
            await connection.close()

    statement = (SQL / "lots.sql").read_text()
    await asyncio.gather(*(load(part) for part in range(parts)))
    await execute(url, "vacuum analyze")


async def read_whole(url: str) -> None:
    """Read all tables and indexes once, so that they lie in memory as those of a ledger in use do."""
    await execute(
        url,
        "create extension if not exists pg_prewarm schema public;"
        "select public.pg_prewarm(oid::regclass, 'read') from pg_class"
        " where relnamespace = 'loyalty'::regnamespace and relkind in ('r', 'i')",
    )


async def scalar(url: str, statement: str, *arguments: object) -> Any:
    """One value from the database."""
    connection: asyncpg.Connection = await connect_owner(url)
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


async def execute(url: str, statement: str) -> None:
    """Run statements as the owner of the database."""
    connection = await connect_owner(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def execute_and_vacuum(url: str, script: str) -> None:
    """Run a script as the owner, and make the planner see what it loaded."""
    await execute(url, script)
    await execute(url, "vacuum analyze")
