"""What members agreed to: each saying is kept with its time and source; the last of a purpose holds."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from loyalty.db.sql import query
from loyalty.errors import FutureTime
from loyalty.members.directory import see_secret, unknown, where_are
from loyalty.members.enrol import FUTURE_TOLERANCE
from loyalty.members.identity import parse_reference
from loyalty.members.vault import Vault
from loyalty.types import Instant, RequestId

if TYPE_CHECKING:
    import asyncpg

Purpose = Annotated[str, Meta(pattern=r"\A[a-z0-9_.-]{1,64}\Z")]


class ConsentBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A member agrees to a purpose, or takes it back; `at`: when it was said, default now; `source`: where."""

    purpose: Purpose
    granted: bool
    at: Instant | None = None
    source: RequestId | None = None


class Consent(Struct, frozen=True):
    """What a member said, and when the ledger learned it."""

    purpose: str
    granted: bool
    at: datetime
    source: str | None
    recorded_at: datetime


class Consents(Struct, frozen=True):
    """What holds now, by purpose, and all that was said, oldest first."""

    consents: list[Consent]
    history: list[Consent]


async def put_consent(
    pool: "asyncpg.Pool", vault: Vault, reference: str, said: ConsentBody, now: datetime
) -> None:
    """Write down what a member said. Said again it changes nothing. Raises UnknownMember or FutureTime."""
    if said.at is not None and said.at > now + FUTURE_TOLERANCE:
        raise FutureTime("`at` is more than 5 minutes ahead of the ledger's clock.")
    name = parse_reference(reference)
    async with pool.acquire() as connection, connection.transaction():
        locked = await connection.fetchrow(query("member_lock"), name.scheme, vault.stored(name))
        if locked is None:
            await see_secret(connection, vault)
            raise unknown(reference)
        held = await _history(connection, locked["shard"], locked["account"])
        of_purpose = [one for one in held if one.purpose == said.purpose]
        if any(_repeats(said, one) for one in (of_purpose[-1:] if said.at is None else of_purpose)):
            return
        at = said.at or now
        values = locked["account"], said.purpose, said.granted, at, said.source, now
        await connection.execute(query("consent_add"), *values)


async def read_consents(pool: "asyncpg.Pool", vault: Vault, reference: str) -> Consents:
    """What a member agreed to, and those merged into it. Raises UnknownMember."""
    name = parse_reference(reference)
    async with pool.acquire() as connection:
        where = (await where_are(connection, vault, [name])).get(name)
        if where is None:
            raise unknown(reference)
        history = await _history(connection, *where)
    holds = {one.purpose: one for one in history}
    return Consents([holds[purpose] for purpose in sorted(holds)], history)


def _repeats(said: ConsentBody, one: Consent) -> bool:
    return (said.granted, said.source, said.at or one.at) == (one.granted, one.source, one.at)


async def _history(connection: "asyncpg.pool.PoolConnectionProxy", shard: int, account: int) -> list[Consent]:
    rows = await connection.fetch(query("consents"), shard, account)
    return [Consent(*row) for row in rows]
