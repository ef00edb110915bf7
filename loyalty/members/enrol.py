"""Enrolling people, one or thousands at once, through one path; what is repeated changes nothing."""

import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from loyalty.db.sql import query
from loyalty.errors import FieldError, FutureTime, InvalidRequest, LoyaltyError, MemberExists, Overloaded
from loyalty.members.identity import Name, make_member_id, names_of
from loyalty.members.text import text_errors
from loyalty.members.vault import SealingKey, Vault, digest
from loyalty.types import AccountNumber, Enrolment, Shard

if TYPE_CHECKING:
    import asyncpg

FUTURE_TOLERANCE = timedelta(minutes=5)
"""How far ahead of the ledger's clock a till's clock may be."""
FIRST_ENROLMENT = datetime(1900, 1, 1, tzinfo=UTC)
_ATTEMPTS = 8
_canonical = msgspec.json.Encoder(order="deterministic").encode


class Enrolled(Struct, frozen=True):
    """Where a member's account lies, and whether this call made it."""

    shard: Shard
    account: AccountNumber
    member_id: str
    created: bool


class _Known(Struct, frozen=True):
    """What the directory holds about the names that a batch gives."""

    owners: dict[Name, AccountNumber]
    rows: list["asyncpg.Record"]


async def enrol(pool: "asyncpg.Pool", vault: Vault, enrolment: Enrolment, now: datetime) -> Enrolled:
    """Enrol one person: a batch of one. Raises MemberExists, FutureTime or InvalidRequest."""
    (outcome,) = await enrol_many(pool, vault, [enrolment], now)
    if isinstance(outcome, LoyaltyError):
        raise outcome
    return outcome


async def enrol_many(
    pool: "asyncpg.Pool", vault: Vault, enrolments: Sequence[Enrolment], now: datetime
) -> list[Enrolled | LoyaltyError]:
    """Enrol people in one transaction, set-based.

    Args:
        enrolments: in the order in which they count: the first to give a name gets it.
        now: the ledger's clock; who gives no `enrolled_at` enrols then.
    Returns:
        for each what became of it. The same content as an earlier enrolment's is that member, not made again;
        a `member_id` or an identifier that another has is MemberExists. What is refused spoils no other.
    """
    # Someone may take a name between the look and the insert. Then nothing is kept and we look again.
    for _ in range(_ATTEMPTS):
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                outcomes, complete = await _enrol(connection, vault, enrolments, now)
            except BaseException:
                await transaction.rollback()
                raise
            if complete:
                await transaction.commit()
                return outcomes
            await transaction.rollback()
    raise Overloaded("Others enrol the same people at this moment; try again.", retry_after=1)


async def _enrol(
    connection: "asyncpg.pool.PoolConnectionProxy",
    vault: Vault,
    enrolments: Sequence[Enrolment],
    now: datetime,
) -> tuple[list[Enrolled | LoyaltyError], bool]:
    key = vault.key(await connection.fetchval("select secret_in_use($1)", vault.newest))
    known = await _look_up(connection, vault, enrolments)
    outcomes: list[Enrolled | LoyaltyError | None] = [None] * len(enrolments)
    firsts: list[int] = []
    repeats: dict[int, int] = {}
    taken: dict[Name, int] = {}
    for index, enrolment in enumerate(enrolments):
        if (refusal := _refusal(enrolment, now)) is not None:
            outcomes[index] = refusal
            continue
        names = _all_names(enrolment)
        known_outcome = _known_outcome(enrolment, names, known, vault)
        if known_outcome is not None:
            outcomes[index] = known_outcome
        elif earlier := {taken[name] for name in names if name in taken}:
            first = min(earlier)
            if len(earlier) == 1 and _content(enrolments[first]) == _content(enrolment):
                repeats[index] = first
            else:
                outcomes[index] = _exists(name.scheme for name in names if name in taken)
        else:
            firsts.append(index)
            taken.update(dict.fromkeys(names, index))
    made = await _insert(connection, key, [enrolments[index] for index in firsts], now)
    if made is None:
        return [], False
    for index, enrolled in zip(firsts, made, strict=True):
        outcomes[index] = enrolled
    for index, first in repeats.items():
        enrolled = made[firsts.index(first)]
        outcomes[index] = Enrolled(enrolled.shard, enrolled.account, enrolled.member_id, created=False)
    return [outcome for outcome in outcomes if outcome is not None], True


async def _look_up(
    connection: "asyncpg.pool.PoolConnectionProxy", vault: Vault, enrolments: Sequence[Enrolment]
) -> _Known:
    names = vault.spread({name for enrolment in enrolments for name in _all_names(enrolment)})
    found = await connection.fetch(
        query("member_find"), [scheme for scheme, _ in names], [value for _, value in names]
    )
    owners = {names[row["scheme"], row["value"]]: row["account"] for row in found}
    given_ids = [enrolment.member_id for enrolment in enrolments if enrolment.member_id is not None]
    rows = (
        await connection.fetch(query("member_enrolled"), sorted(set(owners.values())), given_ids)
        if owners or given_ids
        else []
    )
    return _Known(owners, rows)


def _known_outcome(
    enrolment: Enrolment, names: list[Name], known: _Known, vault: Vault
) -> Enrolled | MemberExists | None:
    owners = {known.owners[name] for name in names if name in known.owners}
    candidates = [
        row
        for row in known.rows
        if row["account"] in owners
        or row["merged_into"] in owners
        or (enrolment.member_id is not None and row["member_id"] == enrolment.member_id)
    ]
    if not owners and not candidates:
        return None
    content = _content(enrolment)
    for row in candidates:
        if _fits(row["fingerprint"], content, vault):
            return Enrolled(row["shard"], row["account"], row["member_id"], created=False)
    return _exists(name.scheme for name in names if name in known.owners)


async def _insert(
    connection: "asyncpg.pool.PoolConnectionProxy",
    key: SealingKey,
    enrolments: Sequence[Enrolment],
    now: datetime,
) -> list[Enrolled] | None:
    """Make the members; None when somebody else took one of their names meanwhile."""
    if not enrolments:
        return []
    opened = await connection.fetch(query("member_open"), len(enrolments))
    made = [
        Enrolled(row["shard"], row["account"], enrolment.member_id or make_member_id(), created=True)
        for row, enrolment in zip(opened, enrolments, strict=True)
    ]
    names = [
        (name.scheme, key.stored(name), _sealed(name, key), one.shard, one.account)
        for one, enrolment in zip(made, enrolments, strict=True)
        for name in (Name("id", one.member_id), *names_of(enrolment))
    ]
    named = await connection.fetch(query("member_insert_names"), *_columns(names, 5))
    if len(named) < len(names):
        return None
    members = [
        (
            one.account,
            one.shard,
            one.member_id,
            enrolment.enrolled_at or now,
            enrolment.channel,
            key.seal_bytes(digest(_content(enrolment))),
        )
        for one, enrolment in zip(made, enrolments, strict=True)
    ]
    if len(await connection.fetch(query("member_insert"), *_columns(members, 6))) < len(members):
        return None
    people = [
        (one.account, *_person(enrolment, key))
        for one, enrolment in zip(made, enrolments, strict=True)
        if enrolment.name is not None or enrolment.birthday is not None
    ]
    if people:
        await connection.execute(query("member_insert_people"), *_columns(people, 4))
    return made


def _sealed(name: Name, key: SealingKey) -> bytes | None:
    return None if name.scheme == "id" else key.seal(name.value)


def _person(enrolment: Enrolment, key: SealingKey) -> tuple[bytes | None, str | None, bytes | None]:
    name, birthday = enrolment.name, enrolment.birthday
    return (
        None if name is None else key.seal(name),
        None if name is None else key.call(name),
        None if birthday is None else key.seal(birthday.isoformat()),
    )


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[column] for row in rows] for column in range(width)]


def _all_names(enrolment: Enrolment) -> list[Name]:
    names = names_of(enrolment)
    return [Name("id", enrolment.member_id), *names] if enrolment.member_id is not None else names


def _refusal(enrolment: Enrolment, now: datetime) -> LoyaltyError | None:
    errors = text_errors(now, name=enrolment.name, channel=enrolment.channel, birthday=enrolment.birthday)
    enrolled_at = enrolment.enrolled_at
    if enrolled_at is not None and enrolled_at < FIRST_ENROLMENT:
        errors.append(FieldError("enrolled_at", "lies before the year 1900"))
    if errors:
        return InvalidRequest(f"{errors[0].path}: {errors[0].message}", errors=errors)
    if enrolled_at is not None and enrolled_at > now + FUTURE_TOLERANCE:
        return FutureTime("`enrolled_at` is more than 5 minutes ahead of the ledger's clock.")
    return None


def _exists(schemes: Iterable[str]) -> MemberExists:
    taken = sorted({"member_id" if scheme == "id" else scheme for scheme in schemes})
    which = " and ".join(taken) or "member_id"
    name = "{member_id}" if "member_id" in taken or not taken else f"{taken[0]}:…"
    return MemberExists(
        f"Somebody was enrolled with this {which} before, with other content; nothing was changed. If it is the same"
        f" person, go on with that member: GET /v1/members/{name} reads, PATCH changes. If not, use another {which}.",
        taken=taken,
    )


def _content(enrolment: Enrolment) -> bytes:
    """One spelling of what was sent: instants in UTC, e-mail in lower case."""
    enrolled_at, email = enrolment.enrolled_at, enrolment.email
    return _canonical(
        msgspec.structs.replace(
            enrolment,
            enrolled_at=enrolled_at.astimezone(UTC) if enrolled_at is not None else None,
            email=email.lower() if email is not None else None,
        )
    )


def _fits(fingerprint: bytes | None, content: bytes, vault: Vault) -> bool:
    """Whether that was the content. It is kept as a sealed hash: a bare one would give phone numbers away."""
    return fingerprint is not None and hmac.compare_digest(vault.open_bytes(fingerprint), digest(content))
