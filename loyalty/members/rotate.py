"""Sealing all personal data anew with the newest secret, in chunks and beside the tills; stopped, it goes on when run
again.

From the moment at which the database takes the newest secret, every server seals with it; what was sealed before is
opened with the older ones until this is through.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

from loyalty import acts
from loyalty.db.connect import connect_owner
from loyalty.db.sql import query
from loyalty.errors import Overloaded
from loyalty.members.identity import Name
from loyalty.members.vault import SealingKey, Vault

ACCOUNTS_AT_ONCE = 500
_PAUSE_SECONDS = 0.05
_TABLES = ("identifier", "person", "birthday_pin", "member")


async def rotate(
    database_url: str, vault: Vault, progress: Callable[[int, int], None] | None = None
) -> tuple[int, SealingKey]:
    """Seal everything with the vault's newest secret.

    Args:
        database_url: of the user who owns the tables.
        progress: takes the accounts that were gone through, and how many there are.
    Returns:
        how many values were sealed anew, and the key that seals now.
    Raises:
        Overloaded: the vault lacks a secret that is still needed, or another rotation is under way.
    """
    connection = await connect_owner(database_url, application_name="loyalty privacy rotate")
    try:
        if not await connection.fetchval("select pg_try_advisory_lock(hashtext('loyalty.rotation'))"):
            raise Overloaded("Another rotation is under way; it goes on by itself.", retry_after=60)
        key = await _take_newest(connection, vault)
        sealed = 0
        while await connection.fetchval(query("seal_left"), key.id):
            last = await connection.fetchval("select coalesce(max(account), 0) from member")
            for first in range(1, last + 1, ACCOUNTS_AT_ONCE):
                sealed += await _seal(connection, vault, key, first)
                if progress is not None:
                    progress(min(first + ACCOUNTS_AT_ONCE - 1, last), last)
            await asyncio.sleep(_PAUSE_SECONDS)
        await connection.execute("update setting set older_secret_ids = '{}'")
        # Old row versions still hold what the old secret opens.
        for table in _TABLES:
            await connection.execute(f"vacuum {table}")
    finally:
        await connection.close()
    return sealed, key


async def _take_newest(connection: asyncpg.Connection, vault: Vault) -> SealingKey:
    key = vault.key(vault.newest)
    async with connection.transaction():
        # Who seals at this moment ends first; nobody begins with the old secret after that.
        await connection.execute("select pg_advisory_xact_lock(hashtext('loyalty.secret'))")
        needed = await connection.fetchval(query("secrets_needed"))
        for id in needed:
            vault.key(id)
        if needed[:1] != [key.id]:
            await connection.execute(
                "update setting set secret_id = $1, older_secret_ids = $2",
                key.id,
                [id for id in needed if id != key.id],
            )
            await acts.note(connection, "secret.changed", key.id.hex())
    return key


async def _seal(connection: asyncpg.Connection, vault: Vault, key: SealingKey, first: int) -> int:
    """One chunk of accounts. Rows that others hold just now are left to the next round."""
    span = first, first + ACCOUNTS_AT_ONCE - 1, key.id
    async with connection.transaction():
        names = [
            (row["scheme"], row["value"], key.stored(Name(row["scheme"], text)), key.seal(text))
            for row in await connection.fetch(query("seal_names"), *span)
            for text in [vault.open(row["sealed"])]
        ]
        people = [
            (row["account"], *_person(row, vault, key))
            for row in await connection.fetch(query("seal_people"), *span)
        ]
        prints = [
            (row["account"], key.seal_bytes(vault.open_bytes(row["fingerprint"])))
            for row in await connection.fetch(query("seal_prints"), *span)
        ]
        pins = [
            (row["account"], row["year"], key.seal(vault.open(row["birthday"])))
            for row in await connection.fetch(query("seal_pins"), *span)
        ]
        for name, rows, width in (
            ("sealed_names", names, 4), ("sealed_people", people, 4), ("sealed_prints", prints, 2),
            ("sealed_pins", pins, 3),
        ):  # fmt: skip
            if rows:
                await connection.execute(query(name), *([row[at] for row in rows] for at in range(width)))
    return len(names) + len(people) + len(prints) + len(pins)


def _person(row: Any, vault: Vault, key: SealingKey) -> tuple[bytes | None, str | None, bytes | None]:
    name = None if row["name"] is None else vault.open(row["name"])
    birthday = None if row["birthday"] is None else key.seal(vault.open(row["birthday"]))
    if name is None:
        return None, None, birthday
    return key.seal(name), key.call(name), birthday
