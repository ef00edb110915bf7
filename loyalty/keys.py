"""API keys: made, shown once, kept as SHA-256, revoked at once; and the copy that authentication asks.

A key holds 256 random bits, so a plain hash is enough: there is nothing to guess.

How long a revoked key can live on: a notice of the database ends it at once. Should the notice get lost, reading the
keys again every second does. Should neither come through, keys count as unknown once the copy is 5 seconds old, until
it is fresh again. A key's own end is looked at with each call.
"""

import asyncio
import contextlib
import hashlib
import math
import secrets
import time
from datetime import UTC, datetime
from typing import Literal, get_args

import asyncpg
import structlog
from msgspec import UNSET, Struct, UnsetType

from loyalty import acts
from loyalty.calendar import END_OF_TIME
from loyalty.db.connect import FAILURES
from loyalty.db.sql import query
from loyalty.errors import FieldError, Overloaded

Role = Literal["pos", "eshop", "ops", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What keys are made for. `member` belongs to tokens, not to keys."""

CHANNEL = "loyalty_keys"
REREAD_SECONDS = 1.0
"""How often the keys are read again, should a notice of the database not come through."""
STALE_SECONDS = 5.0
"""The age of the copy beyond which it is not believed."""
_ANSWER_SECONDS = 2.0
_EAGER_SECONDS = 0.2
_FIXED = "env"
"""Stands for the id of LOYALTY_ADMIN_KEY."""

log = structlog.get_logger()


class Key(Struct, frozen=True):
    """A key without its secret."""

    key_id: str
    name: str
    role: Role
    created_at: datetime
    store: str | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET
    revoked_at: datetime | UnsetType = UNSET


class Identity(Struct, frozen=True):
    """Who calls: a key, or a member with a token that a key made.

    store: the only one that the key records purchases of. ends_at: seconds of the Unix clock. member_id: of a member.
    """

    key_id: str
    role: Literal["pos", "eshop", "ops", "admin", "member"]
    name: str = ""
    store: str | None = None
    ends_at: float = math.inf
    member_id: str | None = None


def key_errors(role: Role, store: str | None, expires_at: datetime | None) -> list[FieldError]:
    """What is wrong with a key that is wished for."""
    errors = []
    if store is not None and role not in ("pos", "eshop"):
        errors.append(FieldError("store", "is for keys that record purchases: pos and eshop"))
    if expires_at is not None and expires_at <= datetime.now(UTC):
        errors.append(FieldError("expires_at", "is over already"))
    if expires_at is not None and expires_at > END_OF_TIME:
        errors.append(FieldError("expires_at", f"lies after the year {END_OF_TIME.year}"))
    return errors


async def create_key(
    pool: asyncpg.Pool, role: Role, name: str, store: str | None = None, expires_at: datetime | None = None
) -> tuple[Key, str]:
    """Make a key. Returns it and its secret, which is kept nowhere and cannot be shown again."""
    secret = f"loyalty_{secrets.token_urlsafe(32)}"
    key_id = f"k-{secrets.token_hex(5)}"
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            query("key_create"), key_id, name, role, store, expires_at, _hash(secret.encode())
        )
        await acts.note(connection, "key.created", key_id, role=role, name=name)
    return _key(row), secret


async def list_keys(pool: asyncpg.Pool) -> list[Key]:
    """All keys, revoked ones too, oldest first."""
    return [_key(row) for row in await pool.fetch(query("key_list"))]


async def revoke_key(pool: asyncpg.Pool, key_id: str) -> bool:
    """Revoke a key on all servers. Returns False when there is none of that id; revoking twice is fine."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(query("key_revoke"), key_id)
        if row is not None and row["now"]:
            await acts.note(connection, "key.revoked", key_id)
    return row is not None


class KeyRing:
    """The valid keys, in memory: told by the database when they change, and read again every second anyway."""

    def __init__(self, database_url: str, admin_key: str | None) -> None:
        self._url = database_url
        fixed = Identity(_FIXED, "admin", "LOYALTY_ADMIN_KEY")
        self._fixed = {} if admin_key is None else {_hash(admin_key.encode()): fixed}
        self._by_hash: dict[bytes, Identity] = dict(self._fixed)
        self._by_id: dict[str, Identity] = {}
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
        """Who bears this secret, as far as this process knows; None also if it may not know any more."""
        identity = self._by_hash.get(hashlib.sha256(secret).digest())
        return identity if identity is not None and self._holds(identity) else None

    def holds(self, key_id: str) -> bool:
        """Whether the key of this id is valid, as far as this process knows."""
        identity = self._by_id.get(key_id)
        return identity is not None and self._holds(identity)

    async def find(self, secret: bytes) -> Identity | None:
        """Like `get`, but reads the keys again when the copy is not quite fresh: for keys just made.

        Raises Overloaded while the keys cannot be read: then nobody can say whether the key is valid.
        """
        identity = self.get(secret)
        if identity is None and time.monotonic() - self._read_at > _EAGER_SECONDS:
            await self.refresh()
            identity = self.get(secret)
            if identity is None and time.monotonic() - self._read_at > STALE_SECONDS:
                raise Overloaded("Keys cannot be checked at the moment; try again.", retry_after=1)
        return identity

    def _holds(self, identity: Identity) -> bool:
        if identity.key_id == _FIXED:
            return True
        return identity.ends_at > time.time() and time.monotonic() - self._read_at <= STALE_SECONDS

    async def refresh(self) -> None:
        """Read the keys now. Does nothing while the database is away."""
        asked = time.monotonic()
        connection = self._connection
        if connection is None:
            return
        async with self._reading:
            if self._read_at < asked:  # else one who asked before has read for us too
                with contextlib.suppress(*FAILURES):
                    await self._read(connection)

    async def _follow(self) -> None:
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                async with self._reading:
                    await self._read(self._connection)
            except FAILURES as error:
                log.warning("api_keys_not_read", error=type(error).__name__)
                await self._disconnect()
                await asyncio.sleep(_EAGER_SECONDS)
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the change.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REREAD_SECONDS):
                    await self._changed.wait()
            self._changed.clear()

    async def _read(self, connection: asyncpg.Connection) -> None:
        started = time.monotonic()
        rows = await connection.fetch(query("key_valid"), timeout=_ANSWER_SECONDS)
        self._by_hash = self._fixed | {row["key_hash"]: _identity(row) for row in rows}
        self._by_id = {identity.key_id: identity for identity in self._by_hash.values()}
        self._read_at = started

    async def _connect(self) -> asyncpg.Connection:
        settings = {
            "role": "loyalty_app",
            "search_path": "loyalty, pg_temp",
            "application_name": "loyalty keys",
        }
        connection = await asyncpg.connect(self._url, timeout=_ANSWER_SECONDS, server_settings=settings)
        await connection.add_listener(CHANNEL, lambda *_: self._changed.set())
        connection.add_termination_listener(lambda *_: self._changed.set())
        return connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.terminate()


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _identity(row: asyncpg.Record) -> Identity:
    expires_at = row["expires_at"]
    ends_at = math.inf if expires_at is None else expires_at.timestamp()
    return Identity(row["key_id"], row["role"], row["name"], row["store"], ends_at)


def _key(row: asyncpg.Record) -> Key:
    return Key(
        key_id=row["key_id"],
        name=row["name"],
        role=row["role"],
        created_at=row["created_at"],
        **{name: row[name] for name in ("store", "expires_at", "revoked_at") if row[name] is not None},
    )
