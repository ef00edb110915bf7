"""`loyalty keys create | list | revoke`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import click

from loyalty.cli.session import DONE, FAILED, run, tell
from loyalty.db.connect import open_pool
from loyalty.keys import ROLES, Role, create_key, list_keys, revoke_key

if TYPE_CHECKING:
    import asyncpg


@click.group()
def keys() -> None:
    """Make, list and revoke the keys that callers of the API carry."""


@keys.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the key may do.")
@click.option("--name", required=True, help="Whose key it is, for the list.")
def create(role: str, name: str) -> None:
    """Make a key and print it, alone and this once: it is kept nowhere."""

    async def work(url: str) -> int:
        async with _pool(url) as pool:
            key, secret = await create_key(pool, cast("Role", role), name)
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
            state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}Z" if key.revoked_at else "valid"
            click.echo(f"{key.key_id}  {key.role:<5}  {key.created_at:%Y-%m-%d %H:%M}Z  {state}  {key.name}")
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


@asynccontextmanager
async def _pool(url: str) -> "AsyncIterator[asyncpg.Pool]":
    async with await open_pool(url, size=1, application_name="loyalty keys") as pool:
        yield pool
