"""Brings a database to the shape that this version of the code needs, forward only.

`sql/migrations/NNNN_name.sql` are applied once, in order, each in a transaction of its own; one that was
applied must never change. `sql/functions/*.sql` are applied again whenever their text changed. Several
servers may start at once: one migrates under an advisory lock, the others wait and find the work done.
"""

import hashlib
import re
from pathlib import Path

import asyncpg
import structlog
from msgspec import Struct

from loyalty.db.connect import SCHEMA, connect_owner
from loyalty.db.sql import folder

LOCK = int.from_bytes(hashlib.sha256(b"loyalty.migrate").digest()[:8], signed=True)
OLDEST_POSTGRES = 15
FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

log = structlog.get_logger()


class MigrationError(Exception):
    """The database cannot be brought to this version's shape; nothing of the offending file was applied."""


class NewerDatabaseError(MigrationError):
    """The database was made by a newer version of the code."""


class SqlFile(Struct, frozen=True):
    """One file: `name` as recorded (`migrations/0001_ledger.sql`), its text and the SHA-256 of it in hex."""

    name: str
    text: str
    digest: str


async def migrate(url: str, *, sql_folder: Path | None = None) -> list[str]:
    """Apply what is missing or changed, and return the names of what was applied, in order.

    Args:
        url: of a user who may create the schema, or owns it.
        sql_folder: has `migrations` and `functions`; the one of this installation by default.

    Raises:
        MigrationError: an applied migration was edited, the database is newer than this code, the files are
            not in
            order, Postgres is too old, or a file failed.
        asyncpg.PostgresError, OSError: the server refuses or cannot be reached.
    """
    place = sql_folder or folder()
    migrations, functions = _read_migrations(place / "migrations"), _read(place / "functions")
    connection = await connect_owner(url, application_name="loyalty migrate")
    try:
        version = connection.get_server_version()
        if version.major < OLDEST_POSTGRES:
            raise MigrationError(f"PostgreSQL {OLDEST_POSTGRES} or newer is needed; this is {version.major}")
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await _make_register(connection)
        return await _apply_missing(connection, migrations, functions)
    finally:
        await connection.close()  # which also gives up the lock


async def pending(url: str, *, sql_folder: Path | None = None) -> list[str]:
    """What `migrate` would apply; nothing is written. Raises as `migrate` does."""
    place = sql_folder or folder()
    migrations, functions = _read_migrations(place / "migrations"), _read(place / "functions")
    connection = await connect_owner(url, application_name="loyalty migrate")
    try:
        known = await connection.fetchval("select to_regclass($1) is not null", f"{SCHEMA}.migration")
        applied = await _applied(connection) if known else {}
        _refuse_edited(migrations, applied)
        return [file.name for file in (*migrations, *functions) if applied.get(file.name) != file.digest]
    finally:
        await connection.close()


async def _make_register(connection: asyncpg.Connection) -> None:
    # Looked up first: a user who may not create schemas can still use one that was made for him.
    if await connection.fetchval("select to_regclass($1) is null", f"{SCHEMA}.migration"):
        if not await connection.fetchval(
            "select exists (select from pg_namespace where nspname = $1)", SCHEMA
        ):
            await connection.execute(f"create schema if not exists {SCHEMA}")
        await connection.execute(
            f"create table if not exists {SCHEMA}.migration (name text primary key, digest text not null, "
            "applied_at timestamptz not null default clock_timestamp())"
        )


async def _apply_missing(
    connection: asyncpg.Connection, migrations: list[SqlFile], functions: list[SqlFile]
) -> list[str]:
    applied = await _applied(connection)
    _refuse_edited(migrations, applied)
    done = []
    for file in migrations:
        if file.name not in applied:
            await _apply(connection, [file])
            done.append(file.name)
    # Functions call each other, so they change together or not at all.
    changed = [file for file in functions if applied.get(file.name) != file.digest]
    if changed:
        await _apply(connection, changed)
        done += [file.name for file in changed]
    return done


def _refuse_edited(migrations: list[SqlFile], applied: dict[str, str]) -> None:
    by_name = {file.name: file for file in migrations}
    recorded = sorted(name for name in applied if name.startswith("migrations/"))
    for name in recorded:
        if name not in by_name:
            raise NewerDatabaseError(
                f"the database has {name}, which this version does not know: it was made by a newer one"
            )
        if applied[name] != by_name[name].digest:
            raise MigrationError(
                f"{name} was edited after it had been applied: put it back, and add a new file instead"
            )
    late = [
        file.name for file in migrations if recorded and file.name < recorded[-1] and file.name not in applied
    ]
    if late:
        raise MigrationError(
            f"{late[0]} comes before {recorded[-1]}, which is applied already: give it a later number"
        )


async def _applied(connection: asyncpg.Connection) -> dict[str, str]:
    rows = await connection.fetch(f"select name, digest from {SCHEMA}.migration")  # noqa: S608 (a constant)
    return {row["name"]: row["digest"] for row in rows}


async def _apply(connection: asyncpg.Connection, files: list[SqlFile]) -> None:
    async with connection.transaction():
        for file in files:
            try:
                await connection.execute(file.text)
            except asyncpg.PostgresError as error:
                raise MigrationError(f"{file.name}{_place(file.text, error)}: {error}") from error
            await connection.execute(
                f"insert into {SCHEMA}.migration as m (name, digest) values ($1, $2) on conflict (name) "  # noqa: S608 (a constant)
                "do update set digest = excluded.digest, applied_at = clock_timestamp()",
                file.name,
                file.digest,
            )
    log.info("migrated", files=[file.name for file in files])


def _place(text: str, error: asyncpg.PostgresError) -> str:
    position = getattr(error, "position", None)
    return f", line {text.count(chr(10), 0, int(position)) + 1}" if position else ""


def _read_migrations(place: Path) -> list[SqlFile]:
    files = _read(place)
    numbers: dict[str, str] = {}
    for file in files:
        name = file.name.removeprefix("migrations/")
        match = FILE_NAME.fullmatch(name)
        if match is None:
            raise MigrationError(f"{file.name}: migrations are called NNNN_name.sql")
        if (other := numbers.setdefault(match[1], name)) != name:
            raise MigrationError(f"{file.name} and {other} have the same number")
    return files


def _read(place: Path) -> list[SqlFile]:
    return [_sql_file(path) for path in sorted(place.glob("*.sql"))]


def _sql_file(path: Path) -> SqlFile:
    text = path.read_text(encoding="utf-8")  # line ends as \n, however the checkout has them
    return SqlFile(f"{path.parent.name}/{path.name}", text, hashlib.sha256(text.encode()).hexdigest())
