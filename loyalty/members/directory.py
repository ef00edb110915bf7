"""The directory: who the accounts belong to. Reads members, finds them by any name, changes them."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET

from loyalty import acts
from loyalty.db.sql import query
from loyalty.errors import FieldError, InvalidRequest, MemberExists, Overloaded, UnknownMember
from loyalty.members.answers import MemberAnswer
from loyalty.members.identity import SCHEMES, Name, names_of, parse_reference
from loyalty.members.text import text_errors
from loyalty.members.vault import Vault
from loyalty.types import AccountNumber, MemberChange, Shard

if TYPE_CHECKING:
    import asyncpg


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


async def where_are(
    connection: "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy", vault: Vault, names: Sequence[Name]
) -> dict[Name, tuple[Shard, AccountNumber]]:
    """The accounts that names mean now; unknown names are absent. Raises Overloaded as `see_secret` does."""
    found = await look_up(connection, vault, names)
    doubt = await why_not_found(connection, vault, [name for name in names if name not in found])
    if doubt is not None:
        raise doubt
    return found


async def look_up(
    connection: "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy", vault: Vault, names: Sequence[Name]
) -> dict[Name, tuple[Shard, AccountNumber]]:
    """The accounts that names mean now. Of those that are absent ask `why_not_found` before calling them unknown."""
    spread = list(vault.spread(names).items())
    rows = await connection.fetch(
        "select * from resolve_members($1, $2)",
        [scheme for (scheme, _), _ in spread],
        [value for (_, value), _ in spread],
    )
    return {spread[row["place"] - 1][1]: (row["shard"], row["account"]) for row in rows}


async def why_not_found(
    connection: "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy | asyncpg.Pool",
    vault: Vault,
    names: Iterable[Name],
) -> Overloaded | None:
    """Why nobody was found under these names although somebody may bear one. None: they are unknown.

    A member_id is never in doubt: it is kept as it is.
    """
    if all(name.scheme == "id" for name in names):
        return None
    try:
        await see_secret(connection, vault)
    except Overloaded as doubt:
        return doubt
    return None


async def see_secret(
    connection: "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy | asyncpg.Pool", vault: Vault
) -> None:
    """See that nobody is called unknown for want of a secret under which people are found.

    Raises Overloaded when this process lacks the secret in use, or one that a rotation has not replaced everywhere yet.
    """
    for needed in await connection.fetchval(query("secrets_needed")):
        vault.key(needed)


async def read(pool: "asyncpg.Pool", vault: Vault, reference: str) -> Listed:
    """Read a member. A member_id that was merged away shows its own old record.

    Raises UnknownMember (also for the erased), InvalidRequest for a name of wrong shape, or Overloaded as `see_secret`.
    """
    name = parse_reference(reference)
    scheme = None if name.scheme == "id" else name.scheme
    row = await pool.fetchrow(query("member_read"), scheme, vault.stored(name))
    if row is None:
        if scheme is not None:
            await see_secret(pool, vault)
        raise unknown(reference)
    return _listed(row, vault)


async def search(
    pool: "asyncpg.Pool",
    vault: Vault,
    names: list[Name],
    called: str | None,
    *,
    after: AccountNumber = 0,
    limit: int = 50,
) -> tuple[list[Listed], AccountNumber | None]:
    """Find members who bear all of `names` and are `called` so (the whole of their own name, in any case).

    Returns at most `limit` of them, by account, and the account to go on behind, or None at the end.
    """
    schemes, values = _columns(vault.spread(names))
    calls = None if called is None else [key.call(called) for key in vault.keys]
    rows = await pool.fetch(query("member_search"), schemes, values, len(set(names)), calls, after, limit + 1)
    if not rows:
        await see_secret(pool, vault)
    listed = [_listed(row, vault) for row in rows[:limit]]
    return listed, listed[-1].account if len(rows) > limit else None


async def change(
    pool: "asyncpg.Pool", vault: Vault, reference: str, wanted: MemberChange, now: datetime
) -> str:
    """Change a member; what is left out stays, null takes a value away. Returns the member_id.

    Raises UnknownMember, MemberExists when another has the identifier, InvalidRequest.
    """
    _check(wanted, now)
    called = parse_reference(reference)
    schemes = [scheme for scheme in SCHEMES if getattr(wanted, scheme) is not UNSET]
    names = names_of(wanted)
    async with pool.acquire() as connection, connection.transaction():
        key = vault.key(await connection.fetchval("select secret_in_use($1)", vault.newest))
        locked = await connection.fetchrow(query("member_lock"), called.scheme, vault.stored(called))
        if locked is None:
            raise unknown(reference)
        account, shard = locked["account"], locked["shard"]
        if schemes:
            stay = [f"{name.scheme}:{key.stored(name)}" for name in names]
            await connection.execute(query("member_drop_names"), account, schemes, stay)
        if names:
            stored = [(name.scheme, key.stored(name), key.seal(name.value)) for name in names]
            columns = [list(column) for column in zip(*stored, strict=True)]
            await connection.execute(query("member_add_names"), *columns, account, shard)
            owners = await connection.fetch(query("member_find"), *_columns(vault.spread(names)))
            if taken := sorted(row["scheme"] for row in owners if row["account"] != account):
                which = " and ".join(taken)
                raise MemberExists(
                    f"Another member has this {which}; nothing was changed. If both are one person, have ops merge them"
                    f" (POST /v1/members/{{member_id}}/merge); if not, take the {which} from the other first.",
                    taken=taken,
                )
        if wanted.name is not UNSET or wanted.birthday is not UNSET:
            await connection.execute(
                query("member_change_person"),
                account,
                wanted.name is not UNSET,
                key.seal(wanted.name) if wanted.name else None,
                key.call(wanted.name) if wanted.name else None,
                wanted.birthday is not UNSET,
                key.seal(wanted.birthday.isoformat()) if wanted.birthday else None,
            )
        if wanted.status is not UNSET:
            changed = await connection.execute(query("member_change_status"), shard, account, wanted.status)
            if changed != "UPDATE 0":
                what: acts.What = "member.blocked" if wanted.status == "blocked" else "member.unblocked"
                await acts.note(connection, what, locked["member_id"])
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


def _columns(spread: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    pairs = list(spread)
    return [scheme for scheme, _ in pairs], [value for _, value in pairs]


def _listed(row: "asyncpg.Record", vault: Vault) -> Listed:
    name, birthday = row["name"], row["birthday"]
    names = [
        Name(scheme, vault.open(value)) for scheme, value in zip(row["schemes"], row["sealed"], strict=True)
    ]
    return Listed(
        account=row["account"],
        shard=row["shard"],
        member_id=row["member_id"],
        identifiers=[str(name) for name in sorted(names, key=_place)],
        name=None if name is None else vault.open(name),
        birthday=None if birthday is None else vault.open_date(birthday),
        enrolled_at=row["enrolled_at"],
        tier=row["tier"],
        verdict_due=bool(row["verdict_due"]),
        status=row["status"],
        merged_into=row["merged_into"],
    )


def _place(name: Name) -> tuple[int, str]:
    """Where an identifier stands in the list: by scheme, then by value."""
    return SCHEMES.index(name.scheme), name.value
