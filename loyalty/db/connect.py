"""Connections to Postgres, set up once and for all: what a connection is set to here, nothing changes later.

So that a connection can go back to the pool as it is. asyncpg would otherwise send `RESET ALL` and four more
statements each time, which costs Postgres as much as the read before it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import asyncpg

from loyalty.steps import step

SCHEMA = "loyalty"
APP_ROLE = "loyalty_app"
CONNECT_SECONDS = 10.0
ACQUIRE_SECONDS = 5.0
"""How long one waits for a connection of the pool."""
SILENCE_SECONDS = 5.0
"""So long after Postgres should have ended a statement by itself, the connection counts as dead."""
FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What a statement fails with when the database is away or refuses it; a lost connection has several names."""


class Pool(asyncpg.Pool):  # type: ignore[misc]  # asyncpg has no types
    """asyncpg's, without endless waiting for a connection: TimeoutError after `ACQUIRE_SECONDS`."""

    def acquire(self, *, timeout: float | None = None) -> Any:
        """As asyncpg's. A timer is made only when one has to wait: on the hot path it would cost as much as a read."""
        # The queue of those that are free; get_idle_size() looks at every connection, for ten times as long.
        if timeout is None and self._queue.empty():
            timeout = ACQUIRE_SECONDS
        return super().acquire(timeout=timeout)


async def open_pool(
    url: str,
    *,
    role: str | None = APP_ROLE,
    size: int = 10,
    plan_cache_mode: str = "force_generic_plan",
    statement_seconds: float = 30.0,
    lock_seconds: float = 5.0,
    idle_in_transaction_seconds: float = 60.0,
    application_name: str = "loyalty",
) -> asyncpg.Pool:
    """A pool of `size` open connections. Close it, or use it with `async with`.

    Transactions, and settings made with `SET LOCAL`, end with the transaction; nothing else may be changed on
    a pooled connection (no `SET`, temporary tables, session locks or `LISTEN`): it would stay for the next
    user.

    Args:
        url: `postgresql://…`
        role: what each connection becomes; it can read, and write through the functions only. None: stay who
            logs in.
        size: number of connections, 1 or more.
        plan_cache_mode: `force_generic_plan` for statements that are called often with few rows; `auto` or
            `force_custom_plan` for batch work over many.
        statement_seconds, lock_seconds, idle_in_transaction_seconds: limits; 0 means none.
        application_name: shown in pg_stat_activity.

    Raises:
        asyncpg.PostgresError, OSError: the server refuses or cannot be reached.
    """
    settings = {
        "search_path": f"{SCHEMA}, pg_temp",
        "timezone": "UTC",
        "datestyle": "ISO",
        "application_name": application_name,
        "plan_cache_mode": plan_cache_mode,
        "jit": "off",
        "statement_timeout": _milliseconds(statement_seconds),
        "lock_timeout": _milliseconds(lock_seconds),
        "idle_in_transaction_session_timeout": _milliseconds(idle_in_transaction_seconds),
    }
    if role is not None:
        settings["role"] = role
    return await Pool(
        url,
        min_size=size,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=0,
        loop=None,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        timeout=CONNECT_SECONDS,
        command_timeout=statement_seconds + SILENCE_SECONDS if statement_seconds else None,
        server_settings=settings,
        init=_read_instants,
        reset=_leave_as_is,
    )


@asynccontextmanager
async def transaction(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """asyncpg's, with the commit as a step of its own."""
    begun = connection.transaction()
    await begun.start()
    try:
        yield
    except BaseException:
        await begun.rollback()
        raise
    with step("commit"):
        await begun.commit()


async def connect_owner(url: str, *, application_name: str = "loyalty owner") -> asyncpg.Connection:
    """One connection as the user who logs in, who owns the schema: for migrations. No limits on time.

    Raises:
        asyncpg.PostgresError, OSError: the server refuses or cannot be reached.
    """
    return await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        server_settings={
            "search_path": f"{SCHEMA}, pg_temp",
            "timezone": "UTC",
            "application_name": application_name,
            "statement_timeout": "0",
            "lock_timeout": "0",
        },
    )


async def _read_instants(connection: asyncpg.Connection) -> None:
    """Instants go over the wire as microseconds: asyncpg's own way takes three times as long, and a purchase has 14."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_to_wire, decoder=_from_wire, format="tuple"
    )


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def _to_wire(at: datetime) -> tuple[int]:
    """Remembered: the rows of a batch share a few instants."""
    since = at - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,)


def _from_wire(microseconds: tuple[int]) -> datetime:
    return _EPOCH + timedelta(0, 0, microseconds[0])


async def _leave_as_is(_connection: asyncpg.Connection) -> None:
    """asyncpg has rolled back an open transaction and dropped listeners before it calls this."""


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
