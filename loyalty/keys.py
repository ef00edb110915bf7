"""API keys: made, shown once, kept as SHA-256, revoked at once; and the copy that authentication asks.

A key holds 256 random bits, so a plain hash is enough: there is nothing to guess.
"""

import asyncio
import contextlib
import hashlib
import secrets
import time
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import asyncpg
import structlog
from msgspec import UNSET, Struct, UnsetType

from loyalty.db.sql import query

if TYPE_CHECKING:
    from collections.abc import Sequence

Role = Literal["pos", "eshop", "ops", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What keys are made for. `member` belongs to tokens, not to keys."""

CHANNEL = "loyalty_keys"
REREAD_SECONDS = 1.0
"""The longest that a revoked key lives on, should the database's notice not come through."""
_EAGER_SECONDS = 0.2

log = structlog.get_logger()


class Key(Struct, frozen=True):
    """A key without its secret."""

    key_id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | UnsetType = UNSET


class Identity(Struct, frozen=True):
    """Who calls."""

    key_id: str
    role: Literal["pos", "eshop", "ops", "admin", "member"]


class _Database(Protocol):
    """A pool or a connection."""

    async def fetch(self, query: str, *args: object) -> "Sequence[asyncpg.Record]": ...


async def create_key(database: _Database, role: Role, name: str) -> tuple[Key, str]:
    """Make a key. Returns it and its secret, which is kept nowhere and cannot be shown again."""
    secret = f"loyalty_{secrets.token_urlsafe(32)}"
    key_id = f"k-{secrets.token_hex(5)}"
    (row,) = await database.fetch(query("key_create"), key_id, name, role, _hash(secret.encode()))
    return _key(row), secret


async def list_keys(database: _Database) -> list[Key]:
    """All keys, revoked ones too, oldest first."""
    return [_key(row) for row in await database.fetch(query("key_list"))]


async def revoke_key(database: _Database, key_id: str) -> bool:
    """Revoke a key on all servers. Returns False when there is none of that id; revoking twice is fine."""
    return bool(await database.fetch(query("key_revoke"), key_id))


class KeyRing:
    """The valid keys, in memory: told by the database when they change, and read again every second anyway.

    While the database is away the last keys go on to hold.
    """

    def __init__(self, database_url: str, admin_key: str | None) -> None:
        self._url = database_url
        self._fixed = {} if admin_key is None else {_hash(admin_key.encode()): Identity("env", "admin")}
        self._by_hash: dict[bytes, Identity] = dict(self._fixed)
        self._changed = asyncio.Event()
        self._read_at = 0.0
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None

    async def open(self) -> None:
        """Connect, read the keys once and keep them fresh from then on."""
        self._connection = await self._connect()
        await self._read(self._connection)
        self._task = asyncio.create_task(self._follow(), name="key ring")

    async def close(self) -> None:
        """Stop following and disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._disconnect()

    def get(self, secret: bytes) -> Identity | None:
        """Who bears this secret, as far as this process knows."""
        return self._by_hash.get(hashlib.sha256(secret).digest())

    async def find(self, secret: bytes) -> Identity | None:
        """Like `get`, but reads the keys again when the copy is not quite fresh: for keys just made."""
        identity = self.get(secret)
        if identity is None and time.monotonic() - self._read_at > _EAGER_SECONDS:
            await self.refresh()
            identity = self.get(secret)
        return identity

    async def refresh(self) -> None:
        """Read the keys now. Does nothing while the database is away."""
        asked = time.monotonic()
        connection = self._connection
        if connection is None:
            return
        async with self._reading:
            if self._read_at < asked:  # else one who asked before has read for us too
                with contextlib.suppress(
                    asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError
                ):
                    await self._read(connection)

    async def _follow(self) -> None:
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                async with self._reading:
                    await self._read(self._connection)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                log.warning("api_keys_not_read", error=type(error).__name__)
                await self._disconnect()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), REREAD_SECONDS)
            self._changed.clear()

    async def _read(self, connection: asyncpg.Connection) -> None:
        started = time.monotonic()
        rows = await connection.fetch(query("key_valid"), timeout=10)
        self._by_hash = self._fixed | {row["key_hash"]: Identity(row["key_id"], row["role"]) for row in rows}
        self._read_at = started

    async def _connect(self) -> asyncpg.Connection:
        settings = {
            "role": "loyalty_app",
            "search_path": "loyalty, pg_temp",
            "application_name": "loyalty keys",
        }
        connection = await asyncpg.connect(self._url, timeout=10, server_settings=settings)
        await connection.add_listener(CHANNEL, lambda *_: self._changed.set())
        return connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.terminate()


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _key(row: "asyncpg.Record") -> Key:
    return Key(
        key_id=row["key_id"],
        name=row["name"],
        role=row["role"],
        created_at=row["created_at"],
        revoked_at=UNSET if row["revoked_at"] is None else row["revoked_at"],
    )
