"""Starting the server: database, migration, program, engine, and only then the port."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Literal

import msgspec
import structlog
import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess

from loyalty.api.patience import Connection
from loyalty.db.embedded import DEFAULT_FOLDER, embedded_postgres_sync
from loyalty.db.migrate import migrate
from loyalty.engine.engine import Engine
from loyalty.engine.programs import STARTER_NOTE
from loyalty.log import set_up_logging
from loyalty.members.secret import check_secret, need_secret, secrets_of
from loyalty.members.vault import Vault
from loyalty.settings import Settings, read_settings, write_secrets

GRACE_SECONDS = 30
"""How long a stopping server waits for the answers that are under way."""
START_SECONDS = 60
BACKLOG = 2048

log = structlog.get_logger()


def serve(settings: Settings) -> None:
    """Serve until a signal asks to stop; requests under way are answered first.

    Without a database URL an embedded Postgres in `./.loyalty` is started, and stops with the server.
    Raises what the embedded Postgres, the migration or the program file raise when they fail.
    """
    set_up_logging(settings.log_level, settings.log_format)
    with contextlib.ExitStack() as stack:
        url = settings.database_url
        if url is None:
            url = stack.enter_context(embedded_postgres_sync(serving=True))
        found = secrets_of(settings, DEFAULT_FOLDER)
        settings = msgspec.structs.replace(settings, database_url=url, secret_keys=found)
        asyncio.run(_prepare(settings))
        listening = stack.enter_context(_listen(settings))
        address = listening.getsockname()
        where = f"http://{_shown(settings.host)}:{address[1]}"
        _into_environment(settings)
        config = _config(settings, "loyalty.api.serve:app_from_environment")
        if settings.workers == 1:
            server = _Server(config, where)
            server.run(sockets=[listening])
            started = server.started
        else:
            stack.enter_context(_shared_figures())
            workers = _Workers(config, [listening], where)
            workers.run()
            started = workers.started
    if not started:
        raise SystemExit(1)  # the log has told why


def app_from_environment() -> object:
    """The application of a worker process, which finds its settings in the environment."""
    from loyalty.api.app import create_app

    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    _stop_with_parent()
    return create_app(settings)


class _Server(uvicorn.Server):
    """Says where it listens as soon as it does."""

    def __init__(self, config: uvicorn.Config, where: str) -> None:
        super().__init__(config)
        self._where = where

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _say(self._where)


class _Workers(Multiprocess):
    """Says where the workers listen as soon as all of them do."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], where: str) -> None:
        super().__init__(config, sockets)
        self._where = where
        self.started = False

    def keep_subprocess_alive(self) -> None:
        """Replaces workers that died, whose gauges then no longer count."""
        before = {one.pid for one in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {one.pid for one in self.processes}:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]  # prometheus_client gives no types for it

    def init_processes(self) -> None:
        super().init_processes()
        self.started = all(one.wait_until_ready(START_SECONDS, self.should_exit) for one in self.processes)
        if self.started:
            _say(self._where)


def _stop_with_parent() -> None:
    """A worker whose parent was killed would keep the port from the server that is started next."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


async def _prepare(settings: Settings) -> None:
    """Migrate, and put the program file in force if nobody has put one yet."""
    assert settings.database_url is not None
    vault = Vault(settings.secret_keys)
    need_secret(vault)  # before anything is changed
    applied = await migrate(settings.database_url)
    if applied:
        log.info("database_migrated", applied=applied)
    engine = await Engine.open(settings.database_url, pool_size=1)
    try:
        await _warn_of_loss(engine)
        await check_secret(engine.pool, vault)
        if settings.program is not None:
            versions = (await engine.programs()).all
            if [version.note for version in versions] == [STARTER_NOTE]:
                form: Literal["toml", "json"] = (
                    "json" if settings.program.suffix.lower() == ".json" else "toml"
                )
                source = settings.program.read_text(encoding="utf-8-sig")
                put = await engine.put_program(
                    source, form, None, None, f"first start: {settings.program.name}"
                )
                log.info("program_applied", version=put.version, file=settings.program.name)
            else:
                log.info("program_kept", reason="the database has a program already")
    finally:
        await engine.close()


async def _warn_of_loss(engine: Engine) -> None:
    """What is acknowledged must survive a crash: Postgres has to wait for its disk."""
    settings = await engine.pool.fetch(
        "select name, current_setting(name) from unnest(array['fsync', 'full_page_writes', 'synchronous_commit']) name"
    )
    for name, value in settings:
        if value == "off":
            log.warning(
                "database_may_lose_points",
                reason=f"Postgres runs with {name} = off: a crash may lose what was acknowledged. Switch it on.",
            )


def _config(settings: Settings, app: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=True,
        workers=settings.workers,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing here asks for the client's address
        server_header=False,
        date_header=True,
        backlog=BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.set_inheritable(True)
        yield listening


@contextlib.contextmanager
def _shared_figures() -> Iterator[None]:
    """Where the workers put their figures, so that any of them can tell those of all."""
    with tempfile.TemporaryDirectory(prefix="loyalty-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _into_environment(settings: Settings) -> None:
    """Hand the settings to the application, which another process may make."""
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, tuple):
            value = write_secrets(value)
        text = "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)
        os.environ[f"LOYALTY_{name.upper()}"] = text


def _say(where: str) -> None:
    print(f"loyalty: listening at {where} (try it: {where}/schema)", flush=True)


def _shown(host: str) -> str:
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 -- nothing is bound: shown is what one can open
    return anywhere.get(host) or (f"[{host}]" if ":" in host else host)
