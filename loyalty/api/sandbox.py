"""The sandbox's clock: an offset in Postgres that every server and command reads."""

import msgspec
from msgspec import Struct

from loyalty import acts
from loyalty.api.auth import ADMIN
from loyalty.api.contract import call
from loyalty.api.reading import Call, context, read_json
from loyalty.api.reply import Reply, reply
from loyalty.db.sql import query
from loyalty.engine.validate import check_instant
from loyalty.errors import ClockNotForward
from loyalty.types import Instant


class Clock(Struct, frozen=True, forbid_unknown_fields=True):
    """What time it is in the ledger."""

    now: Instant


_clock = msgspec.json.Decoder(Clock)


@call(
    "PUT",
    "/v1/sandbox/clock",
    roles=ADMIN,
    tag="Sandbox",
    body=Clock,
    example={"now": "2026-11-11T12:00:00+08:00"},
    answers={200: Clock},
    problems=(ClockNotForward,),
)
async def set_clock(request: Call) -> Reply:
    """Set the ledger's clock; it ticks on from there.

    While nothing is posted it goes anywhere, afterwards only forward. Served with LOYALTY_SANDBOX=1 alone.
    """
    wanted = await read_json(request, _clock)
    check_instant("now", wanted.now)
    pool = context(request).engine.pool
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(query("clock_lock"))
        now = await connection.fetchval(query("clock_set"), wanted.now)
        if now is not None:
            await acts.note(connection, "clock.set", wanted.now.isoformat())
    if now is None:
        raise ClockNotForward("Points were posted already; from then on the clock only goes forward.")
    return reply(Clock(now))


HANDLERS = (set_clock,)
