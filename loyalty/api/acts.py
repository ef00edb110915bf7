"""The log of administrative acts."""

from typing import Annotated

from msgspec import Meta, Struct

from loyalty import acts
from loyalty.acts import Act
from loyalty.api.auth import ADMIN
from loyalty.api.contract import call
from loyalty.api.reading import Call, PageLimit, context, read_query
from loyalty.api.reply import Reply, reply


class ActQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """From where on, and how many."""

    cursor: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    limit: PageLimit = 50


class ActPage(Struct, frozen=True):
    """Acts, newest first, and the cursor behind them when there are more."""

    acts: list[Act]
    next_cursor: str | None


@call("GET", "/v1/acts", roles=ADMIN, tag="Keys", query=ActQuery, answers={200: ActPage})
async def list_acts(request: Call) -> Reply:
    """List what was done by hand: keys, programs, merges, erasures, blocks, adjustments, jobs and the clock."""
    wanted = read_query(request, ActQuery)
    found, after = await acts.list_acts(context(request).engine.pool, wanted.cursor, wanted.limit)
    return reply(ActPage(found, None if after is None else str(after)))


HANDLERS = (list_acts,)
