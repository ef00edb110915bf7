"""Where this process's secrets come from: the environment, or a file beside the embedded Postgres."""

import base64
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from loyalty.db.sql import query
from loyalty.members.vault import Vault
from loyalty.settings import SECRET_BYTES, Settings, SettingsError, read_secrets

if TYPE_CHECKING:
    import asyncpg

VARIABLE = "LOYALTY_SECRET_KEYS"
FILE = "secret_key"


def new_secret() -> str:
    """A new secret as it is written in the environment: 32 random bytes in Base64."""
    return base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def secrets_of(settings: Settings, folder: Path) -> tuple[bytes, ...]:
    """The secrets that the settings name; for an embedded Postgres without any the one kept in its `folder`."""
    if settings.secret_keys or settings.database_url is not None:
        return settings.secret_keys
    return read_secrets(_kept(folder))


def need_secret(vault: Vault) -> None:
    """Raises SettingsError when no secret is set."""
    if vault.newest is None:
        raise SettingsError(
            VARIABLE,
            "set: what is known of members is kept encrypted. Make a secret with `loyalty privacy new-key`, keep a"
            " copy of it apart from the database, and give it to every server",
        )


async def check_secret(pool: "asyncpg.Pool", vault: Vault) -> None:
    """See that what this database holds of people can be opened. A database without any takes the newest secret.

    Raises:
        SettingsError: no secret is set, or one that is needed is missing among them: the one in use, or an older one
            with which something is still sealed.
    """
    need_secret(vault)
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetchval("select secret_in_use($1)", vault.newest)
        in_use, *older = await connection.fetchval(query("secrets_needed"))
    if not vault.knows(in_use):
        raise SettingsError(
            VARIABLE,
            "the secret that this database was used with before (a new one goes before it, with a comma)",
        )
    if not all(map(vault.knows, older)):
        raise SettingsError(
            VARIABLE,
            "the new secret and the one before it, with a comma: `loyalty privacy rotate` is not through, what it has"
            " not come to yet needs the old one. Run it to its end with both, then leave the old one out",
        )


def _kept(folder: Path) -> str:
    """The secret in the folder's file, made once."""
    file = folder / FILE
    if not file.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        made = folder / f"{FILE}.{os.getpid()}"
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(new_secret() + "\n")
            new.flush()
            os.fsync(new.fileno())
        try:
            file.hardlink_to(made)  # whole or not at all, and only the first of several
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return file.read_text().strip()
