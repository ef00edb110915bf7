"""Whether the server lives, whether it can serve, and its figures."""

import asyncio
import time
from typing import Literal

from msgspec import Struct

from loyalty.api.contract import call
from loyalty.api.metrics import exposition
from loyalty.api.reading import Call, context
from loyalty.api.reply import Reply, reply
from loyalty.db.connect import FAILURES
from loyalty.db.migrate import MigrationError, NewerDatabaseError, pending
from loyalty.engine import batcher
from loyalty.errors import Overloaded
from loyalty.members.directory import see_secret

READY_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 10.0


class Live(Struct, frozen=True):
    status: Literal["live"] = "live"


class Ready(Struct, frozen=True):
    """`reasons` say what stands in the way, or, of a server that is ready, that it should be replaced."""

    status: Literal["ready", "not-ready"]
    reasons: list[str]


class _Shape:
    """How the database's shape differs from this version's; looked at now and then, as it costs a connection."""

    looked_at = 0.0
    missing: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()


@call("GET", "/health/live", roles=None, tag="Health", answers={200: Live})
async def live(request: Call) -> Reply:  # noqa: ARG001 -- Litestar passes it by this name
    """Say that the process answers."""
    return reply(Live())


@call("GET", "/health/ready", roles=None, tag="Health", answers={200: Ready, 503: Ready})
async def ready(request: Call) -> Reply:
    """Say whether requests can be served: the database answers and has this version's shape, the server knows the
    secret in use, the queue has room, and nobody asked it to stop. One whose database is newer than itself serves on,
    and says so."""
    held = context(request)
    reasons: list[str] = []
    if held.stopping.asked:
        reasons.append("the server was asked to stop")
    if held.engine.batcher.waiting >= batcher.QUEUE:
        reasons.append("the queue of requests is full")
    notes: list[str] = []
    try:
        async with asyncio.timeout(READY_SECONDS):
            await held.engine.now()
            await see_secret(held.engine.pool, held.engine.vault)
            if held.settings.database_url is not None:
                missing, newer = await _shape(held.settings.database_url)
                reasons += missing
                notes += newer
    except Overloaded as error:
        reasons.append(error.detail)
    except FAILURES:
        reasons.append(f"the database does not answer within {READY_SECONDS:.0f} seconds")
    return reply(Ready("not-ready" if reasons else "ready", reasons + notes), 503 if reasons else 200)


@call("GET", "/metrics", roles=None, tag="Health", answers={200: str}, answer_media="text/plain")
async def metrics(request: Call) -> Reply:  # noqa: ARG001 -- Litestar passes it by this name
    """Give the server's figures in Prometheus' text format."""
    body, media_type = exposition()
    return Reply(body, media_type=media_type.encode())


async def _shape(database_url: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands in the way, and what only is worth telling."""
    if time.monotonic() - _Shape.looked_at > _LOOK_AGAIN_SECONDS:
        missing, newer = "", ""
        try:
            found = await pending(database_url)
            missing = ", ".join(name for name in found if name.startswith("migrations/"))
            if found and not missing:
                newer = f"the database has other {', '.join(found)} than this version"
        except NewerDatabaseError as error:
            newer = str(error)
        except MigrationError as error:
            missing = str(error)
        _Shape.missing = (f"not migrated: {missing}",) if missing else ()
        _Shape.newer = (f"replace this server: {newer}",) if newer else ()
        _Shape.looked_at = time.monotonic()
    return _Shape.missing, _Shape.newer


HANDLERS = (live, ready, metrics)
