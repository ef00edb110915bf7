"""Whether the server lives, whether it can serve, and its figures."""

import asyncio
import time
from typing import Literal

import asyncpg
from msgspec import Struct

from loyalty.api.contract import call
from loyalty.api.metrics import exposition
from loyalty.api.reading import Call, context
from loyalty.api.reply import Reply, reply
from loyalty.db.migrate import MigrationError, pending

READY_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 10.0


class Live(Struct, frozen=True):
    status: Literal["live"] = "live"


class Ready(Struct, frozen=True):
    """`reasons` say what stands in the way."""

    status: Literal["ready", "not-ready"]
    reasons: list[str]


class _Migrated:
    """Whether the database has this version's shape; looked at now and then, as it costs a connection."""

    looked_at = 0.0
    reason: str | None = None


@call("GET", "/health/live", roles=None, tag="Health", answers={200: Live})
async def live(request: Call) -> Reply:  # noqa: ARG001 -- Litestar passes it by this name
    """Say that the process answers."""
    return reply(Live())


@call("GET", "/health/ready", roles=None, tag="Health", answers={200: Ready, 503: Ready})
async def ready(request: Call) -> Reply:
    """Say whether requests can be served: the database answers and has this version's shape."""
    held = context(request)
    reasons: list[str] = []
    try:
        async with asyncio.timeout(READY_SECONDS):
            await held.engine.now()
            if held.settings.database_url is not None and (found := await _shape(held.settings.database_url)):
                reasons.append(found)
    except (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
        TimeoutError,
    ):
        reasons.append(f"the database does not answer within {READY_SECONDS:.0f} seconds")
    return reply(Ready("not-ready" if reasons else "ready", reasons), 503 if reasons else 200)


@call("GET", "/metrics", roles=None, tag="Health", answers={200: str}, answer_media="text/plain")
async def metrics(request: Call) -> Reply:  # noqa: ARG001 -- Litestar passes it by this name
    """Give the server's figures in Prometheus' text format."""
    body, media_type = exposition()
    return Reply(body, media_type=media_type.encode())


async def _shape(database_url: str) -> str | None:
    if time.monotonic() - _Migrated.looked_at > _LOOK_AGAIN_SECONDS:
        try:
            missing = await pending(database_url)
            _Migrated.reason = f"not migrated yet: {', '.join(missing)}" if missing else None
        except MigrationError as error:
            _Migrated.reason = str(error)
        _Migrated.looked_at = time.monotonic()
    return _Migrated.reason


HANDLERS = (live, ready, metrics)
