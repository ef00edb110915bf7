"""How every command runs: settings read, database found, failures told in one sentence, Ctrl-C clean."""

import asyncio
import errno
import logging
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import NoReturn

import click

from loyalty.db.embedded import DEFAULT_FOLDER, EmbeddedPostgresError, embedded_postgres
from loyalty.db.migrate import MigrationError, migrate, pending
from loyalty.errors import LoyaltyError
from loyalty.importing.source import UnreadableFileError
from loyalty.log import set_up_logging
from loyalty.members.secret import secrets_of
from loyalty.members.vault import Vault
from loyalty.processes import ProcessLostError
from loyalty.settings import Settings, SettingsError, read_settings, unknown_variables

DONE, FAILED, WRONG_CALL = 0, 1, 2
STOPPED = "Stopped. Run the same command again to go on; nothing is done twice."


def run(command: Callable[[str], Coroutine[object, object, int]], *, migrated: bool = True) -> NoReturn:
    """Run `command` with the database's URL and exit with the code that it returns.

    migrated: whether the database must have this version's tables; an embedded one gets them.
    """
    settings = settings_or_exit()

    async def session() -> int:
        async with database(settings) as url:
            if migrated:
                await _ensure_tables(url, embedded=settings.database_url is None)
            return await command(url)

    sys.exit(told(lambda: asyncio.run(session()), debug=settings.log_level == "debug"))


def settings_or_exit(*, quiet: bool = True) -> Settings:
    """The settings from the environment; exits with a sentence when one is wrong.

    quiet: commands tell their results and refusals themselves, so they log for debugging only.
    """
    try:
        settings = read_settings()
    except SettingsError as e:
        tell(f"{e}.")
        sys.exit(WRONG_CALL)
    for sentence in unknown_variables():
        tell(f"Note: {sentence}.")
    set_up_logging(settings.log_level, settings.log_format)
    if quiet and settings.log_level != "debug":
        logging.disable(logging.ERROR)
    return settings


def told(work: Callable[[], int], *, debug: bool = False, stopped: str = STOPPED) -> int:
    """Do `work`; what goes wrong becomes one sentence on stderr and an exit code."""
    try:
        return work()
    except KeyboardInterrupt:
        tell(stopped)
        return FAILED
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except Exception as e:  # noqa: BLE001 (the last place where an error can become a sentence)
        if debug:
            traceback.print_exc()
        tell(sentence(e))
        return FAILED


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database that the settings name, or of the embedded one in ./.loyalty."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    note_a_new_ledger()
    async with embedded_postgres() as url:
        yield url


def note_a_new_ledger() -> None:
    """Say so where the folder has no ledger yet: it may be the wrong folder."""
    if not (DEFAULT_FOLDER / "postgres").exists():
        tell(f"There is no ledger in {DEFAULT_FOLDER.absolute()}: making a new one.")


def vault() -> Vault:
    """What opens personal data, with the secrets of the settings; for commands that read names or birthdays."""
    return Vault(secrets_of(read_settings(), DEFAULT_FOLDER))


def tell(text: str) -> None:
    """Say something beside the results: on stderr."""
    click.echo(text, err=True)


def sentence(error: Exception) -> str:
    """What went wrong and what to do, for people."""
    if isinstance(error, LoyaltyError):
        more = [f"\n  {e.path}: {e.message}" for e in error.errors if e.message not in error.detail]
        return error.detail + "".join(more)
    if isinstance(
        error, EmbeddedPostgresError | MigrationError | ProcessLostError | SettingsError | UnreadableFileError
    ):
        text = str(error)
        return text if text.endswith((".", "\n")) else f"{text}."
    if isinstance(error, ConnectionError | TimeoutError) or _lost(error):
        return "The database cannot be reached. Is it running, and is LOYALTY_DATABASE_URL right?"
    if isinstance(error, OSError):
        if error.errno == errno.EADDRINUSE:
            return "The port is in use by another program. Choose another: LOYALTY_PORT=8081 (loyalty serve --help)."
        return f"{error.filename or 'The system'}: {error.strerror or error}."
    refusal = _refused(error)
    if refusal is not None:
        return refusal
    return f"Unexpected {type(error).__name__}: {error}. LOYALTY_LOG_LEVEL=debug shows where it happened."


def _lost(error: Exception) -> bool:
    import asyncpg

    return isinstance(
        error,
        asyncpg.PostgresConnectionError
        | asyncpg.InterfaceError
        | asyncpg.CannotConnectNowError
        | asyncpg.AdminShutdownError,
    )


def _refused(error: Exception) -> str | None:
    import asyncpg

    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"The server has no such database: {error}. Create it, or mend LOYALTY_DATABASE_URL."
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return f"The database refuses the user: {error}. Mend LOYALTY_DATABASE_URL."
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"The database user may not do that: {error}. Run `loyalty migrate` as the schema's owner."
    if isinstance(error, asyncpg.SyntaxOrAccessError):
        return f"The database does not have the tables of this version: {error}. Restore it, or run `loyalty migrate`."
    return None


async def _ensure_tables(url: str, *, embedded: bool) -> None:
    missing = await pending(url)
    if missing and embedded:
        await migrate(url)
    elif missing:
        raise MigrationError(f"The database lacks {missing[0]}: run `loyalty migrate` first")
