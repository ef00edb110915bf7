"""What an attempt's failure means for the items of a batch."""

import asyncio
from enum import Enum, auto

import asyncpg

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    ConnectionError,
    OSError,
    asyncio.TimeoutError,
)
"""The connection is gone: whether the commit happened is unknown."""
BUSY = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.TooManyConnectionsError)
UNABLE = (
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""Postgres cannot write: its disk or memory is full, it fails, or it is a standby. Nothing happened; it may pass."""
DECIDE_AGAIN = "LY003"
"""Raised by post() and settle_claims(): a budget or a stock no longer holds what was decided."""
CONFLICT = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


class Moved(Exception):
    """A member was merged or erased while the batch waited for the account: who is meant must be asked again."""


class Then(Enum):
    """What to do after an attempt that failed."""

    AGAIN = auto()
    SETTLE = auto()
    SPLIT = auto()
    BUSY = auto()
    UNABLE = auto()
    FAIL = auto()


def meaning(error: Exception, items: int) -> Then:
    """What to do after an attempt with so many items failed with `error`."""
    if isinstance(error, Moved):
        return Then.AGAIN
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate == DECIDE_AGAIN:
        return Then.AGAIN
    # asyncpg reports a value that it cannot encode as an InterfaceError too, and as a ValueError.
    if isinstance(error, LOST) and not isinstance(error, ValueError):
        return Then.SETTLE
    if isinstance(error, BUSY):
        return Then.BUSY
    if isinstance(error, UNABLE):
        return Then.UNABLE
    if items > 1:
        return Then.SPLIT
    return Then.AGAIN if isinstance(error, CONFLICT) else Then.FAIL
