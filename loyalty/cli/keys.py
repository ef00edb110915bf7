"""`loyalty keys create | list | revoke`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import click

from loyalty.cli.session import DONE, FAILED, run, tell
from loyalty.cli.times import instant
from loyalty.db.connect import open_pool
from loyalty.keys import ROLES, Key, Role, create_key, key_errors, list_keys, revoke_key

if TYPE_CHECKING:
    import asyncpg


@click.group()
def keys() -> None:
    """Make, list and revoke the keys that callers of the API carry."""


@keys.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the key may do.")
@click.option("--name", required=True, help="Whose key it is, for the list.")
@click.option("--store", help="The only store whose purchases it records (pos and eshop).")
@click.option("--expires-at", type=instant, metavar="TIME", help="When it ends; default: never.")
def create(role: str, name: str, store: str | None, expires_at: datetime | None) -> None:
    """Make a key and print it, alone and this once: it is kept nowhere."""
    if errors := key_errors(cast("Role", role), store, expires_at):
        raise click.UsageError(f"{errors[0].path} {errors[0].message}")

    async def work(url: str) -> int:
        async with _pool(url) as pool:
            key, secret = await create_key(pool, cast("Role", role), name, store, expires_at)
        tell(f"Key {key.key_id} for {name} ({role}). Keep it safe: it cannot be shown again.")
        click.echo(secret)
        return DONE

    run(work)


@keys.command("list")
def list_() -> None:
    """List the keys, without their secrets."""

    async def work(url: str) -> int:
        async with _pool(url) as pool:
            found = await list_keys(pool)
        for key in found:
            store = f", store {key.store}" if key.store else ""
            made = f"{key.created_at:%Y-%m-%d %H:%M}Z"
            click.echo(f"{key.key_id}  {key.role:<5}  {made}  {_state(key)}  {key.name}{store}")
        if not found:
            tell("There is no key yet: loyalty keys create --role pos --name 'till 1'")
        return DONE

    run(work)


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key on all servers; KEY_ID as in the list."""

    async def work(url: str) -> int:
        async with _pool(url) as pool:
            if await revoke_key(pool, key_id):
                return DONE
        tell(f"There is no key {key_id}. `loyalty keys list` shows them.")
        return FAILED

    run(work)


def _state(key: Key) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}Z"
    if key.expires_at:
        over = key.expires_at <= datetime.now(UTC)
        return f"{'ended' if over else 'valid until'} {key.expires_at:%Y-%m-%d %H:%M}Z"
    return "valid"


@asynccontextmanager
async def _pool(url: str) -> "AsyncIterator[asyncpg.Pool]":
    async with await open_pool(url, size=1, application_name="loyalty keys") as pool:
        yield pool
