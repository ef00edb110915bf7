"""The directory: who the accounts belong to. Reads members, finds them by any name, changes them."""

from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET

from loyalty.db.sql import query
from loyalty.errors import FieldError, InvalidRequest, MemberExists, UnknownMember
from loyalty.members.answers import MemberAnswer
from loyalty.members.identity import SCHEMES, Name, names_of, parse_reference
from loyalty.members.text import text_errors
from loyalty.types import AccountNumber, MemberChange, Shard

if TYPE_CHECKING:
    import asyncpg

MAX_PAGE = 200


class Listed(NamedTuple):
    """A member's row. `tier` None: the lowest; `verdict_due`: the tier may be about to change."""

    account: AccountNumber
    shard: Shard
    member_id: str
    identifiers: list[str]
    name: str | None
    birthday: date | None
    enrolled_at: datetime
    tier: str | None
    verdict_due: bool
    status: str
    merged_into: str | None

    def answer(self, tier: str) -> MemberAnswer:
        """The member as clients see it; `tier` is what holds now."""
        return MemberAnswer(
            member_id=self.member_id,
            identifiers=self.identifiers,
            name=self.name,
            birthday=self.birthday,
            enrolled_at=self.enrolled_at,
            tier=tier,
            status="blocked" if self.status == "blocked" else "active",
            merged_into=UNSET if self.merged_into is None else self.merged_into,
        )


async def read(pool: "asyncpg.Pool", reference: str) -> Listed:
    """Read a member. A member_id that was merged away shows its own old record.

    Raises UnknownMember (also for the erased), or InvalidRequest for a name of wrong shape.
    """
    name = parse_reference(reference)
    row = await pool.fetchrow(query("member_read"), None if name.scheme == "id" else name.scheme, name.value)
    if row is None:
        raise unknown(reference)
    return _listed(row)


async def search(
    pool: "asyncpg.Pool",
    names: list[Name],
    name_prefix: str | None,
    *,
    after: AccountNumber = 0,
    limit: int = 50,
) -> tuple[list[Listed], AccountNumber | None]:
    """Find members who bear all of `names` and whose own name begins so (in any case).

    Returns at most `limit` of them, by account, and the account to go on behind, or None at the end.
    """
    schemes, values = [name.scheme for name in names], [name.value for name in names]
    rows = await pool.fetch(query("member_search"), schemes, values, name_prefix, after, limit + 1)
    listed = [_listed(row) for row in rows[:limit]]
    return listed, listed[-1].account if len(rows) > limit else None


async def change(pool: "asyncpg.Pool", reference: str, wanted: MemberChange, now: datetime) -> str:
    """Change a member; what is left out stays, null takes a value away. Returns the member_id.

    Raises UnknownMember, MemberExists when another has the identifier, InvalidRequest.
    """
    _check(wanted, now)
    called = parse_reference(reference)
    schemes = [scheme for scheme in SCHEMES if getattr(wanted, scheme) is not UNSET]
    names = names_of(wanted)
    async with pool.acquire() as connection, connection.transaction():
        locked = await connection.fetchrow(query("member_lock"), called.scheme, called.value)
        if locked is None:
            raise unknown(reference)
        account, shard = locked["account"], locked["shard"]
        if schemes:
            await connection.execute(
                query("member_drop_names"), account, schemes, [str(name) for name in names]
            )
        if names:
            values = [name.scheme for name in names], [name.value for name in names]
            await connection.execute(query("member_add_names"), *values, account, shard)
            owners = await connection.fetch(query("member_find"), *values)
            if taken := sorted(row["scheme"] for row in owners if row["account"] != account):
                raise MemberExists(f"Another member has this {' and '.join(taken)}.", taken=taken)
        if wanted.name is not UNSET or wanted.birthday is not UNSET:
            await connection.execute(
                query("member_change_person"),
                account,
                wanted.name is not UNSET,
                wanted.name or None,
                wanted.birthday is not UNSET,
                wanted.birthday or None,
            )
        if wanted.status is not UNSET:
            await connection.execute(query("member_change_status"), shard, account, wanted.status)
        return str(locked["member_id"])


def unknown(reference: str) -> UnknownMember:
    """Nobody bears this name. Says the scheme, not the value: problems are logged and shown."""
    scheme = parse_reference(reference).scheme
    return UnknownMember(f"No member has this {'member_id' if scheme == 'id' else scheme}.")


def _check(wanted: MemberChange, now: datetime) -> None:
    errors = text_errors(now, name=wanted.name or None, channel=None, birthday=wanted.birthday or None)
    if wanted.status is not UNSET and wanted.status not in ("active", "blocked"):
        errors.append(FieldError("status", "is 'active' or 'blocked'"))
    if errors:
        raise InvalidRequest(f"{errors[0].path}: {errors[0].message}", errors=errors)


def _listed(row: "asyncpg.Record") -> Listed:
    return Listed(
        account=row["account"],
        shard=row["shard"],
        member_id=row["member_id"],
        identifiers=list(row["identifiers"]),
        name=row["name"],
        birthday=row["birthday"],
        enrolled_at=row["enrolled_at"],
        tier=row["tier"],
        verdict_due=bool(row["verdict_due"]),
        status=row["status"],
        merged_into=row["merged_into"],
    )
