"""The log of administrative acts: who did what, when, and on what. A row is added in the transaction of the act itself.

Nothing personal is in it: members are called by their member_id, and texts that people write are left out.
"""

from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec import Struct

from loyalty.db.sql import query

if TYPE_CHECKING:
    import asyncpg

What = Literal[
    "key.created",
    "key.revoked",
    "program.put",
    "member.erased",
    "member.merged",
    "member.blocked",
    "member.unblocked",
    "points.adjusted",
    "reward.put",
    "stock.moved",
    "job.started",
    "clock.set",
    "secret.changed",
]


class Actor(Struct, frozen=True):
    """Who acts: the key's id and name, and the request's id. On the command line there is neither key nor request."""

    key_id: str | None
    name: str
    request_id: str | None


COMMAND_LINE = Actor(None, "command line", None)
acting: ContextVar[Actor] = ContextVar("acting", default=COMMAND_LINE)
"""Who acts in this task; set for each request once its key is known."""


class Act(Struct, frozen=True):
    """One administrative act. `target` is what it was done to, `details` what else there is to know."""

    act_id: int
    at: datetime
    key_id: str | None
    key_name: str
    what: What
    target: str
    details: dict[str, Any]
    request_id: str | None


class _Database(Protocol):
    async def execute(self, query: str, *args: object) -> str: ...


async def note(
    connection: _Database, what: What, target: str, actor: Actor | None = None, **details: object
) -> None:
    """Add an act; whoever acts in this task did it unless `actor` is given. Call it in the act's transaction."""
    by = actor or acting.get()
    text = msgspec.json.encode(details).decode()
    await connection.execute(query("act_add"), by.key_id, by.name, what, target, text, by.request_id)


async def list_acts(pool: "asyncpg.Pool", before: int | None, limit: int) -> tuple[list[Act], int | None]:
    """Acts, newest first: at most `limit` of those before the act `before`; and where the next page begins, if any."""
    rows = await pool.fetch(query("act_list"), before, limit + 1)
    acts = [
        Act(
            act_id=row["act_id"],
            at=row["at"],
            key_id=row["key_id"],
            key_name=row["key_name"],
            what=row["what"],
            target=row["target"],
            details=msgspec.json.decode(row["details"]),
            request_id=row["request_id"],
        )
        for row in rows[:limit]
    ]
    return acts, acts[-1].act_id if len(rows) > limit else None
