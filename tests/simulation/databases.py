"""Fresh databases for runs: copies of one migrated template whose clock is frozen."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from loyalty.db.embedded import embedded_postgres
from loyalty.db.migrate import migrate

FROZEN = """
create or replace function loyalty.ledger_now() returns timestamptz language sql volatile as $$
    select timestamptz '2024-01-01 00:00Z' + clock_offset from loyalty.setting
$$
"""


class Databases:
    """Fresh databases with a frozen clock, each a copy of one migrated template."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.template = f"simulation_{token_hex(4)}"

    def of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def prepare(self) -> None:
        await self.execute(f'create database "{self.template}" template template0')
        await migrate(self.of(self.template))
        connection = await asyncpg.connect(self.of(self.template))
        await connection.execute(FROZEN)
        await connection.close()

    async def execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def fresh(self, shards: int = 1) -> AsyncIterator[str]:
        name = f"simulation_{token_hex(6)}"
        await self.execute(
            f'create database "{name}" template "{self.template}"',
            f'alter database "{name}" set synchronous_commit = off',
        )
        if shards > 1:
            connection = await asyncpg.connect(self.of(name))
            await connection.execute("update loyalty.setting set shards = $1", shards)
            await connection.close()
        try:
            yield self.of(name)
        finally:
            await self.execute(f'drop database "{name}" with (force)')

    async def close(self) -> None:
        await self.execute(f'drop database if exists "{self.template}" with (force)')


@contextlib.asynccontextmanager
async def some_postgres(url: str | None) -> AsyncIterator[str]:
    """The one given, or an embedded one that need not survive a power cut."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="loyalty-simulation-", ignore_cleanup_errors=True) as folder:
        async with embedded_postgres(Path(folder) / "data", serving=True) as found:
            connection = await asyncpg.connect(found)
            for name in ("fsync", "full_page_writes"):
                await connection.execute(f"alter system set {name} = off")
            await connection.execute("select pg_reload_conf()")
            await connection.close()
            yield found
