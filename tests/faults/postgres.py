"""A Postgres that a test may ill-treat: stopped at once, killed, started again, its connections cut, its disk full.

Its programs are those of the embedded Postgres, started by the same code that users start it with.
"""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote, urlencode

import asyncpg

from loyalty.db import keeper
from loyalty.db.embedded import _install
from loyalty.db.migrate import migrate

END_SECONDS = 30.0

# The kernel ends Postgres with the thread that started it, so that is one which lives as long as the tests.
_hands = ThreadPoolExecutor(1, thread_name_prefix="postgres")


class Postgres(keeper.Keeper):
    """One cluster in a folder of its own, with one database a scenario."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        super().__init__(folder, _install())
        self._more = dict(settings or {})
        self._template: str | None = None

    def start(self) -> None:
        """Start it on the data that are there, or on new ones."""
        usual = dict(keeper.SETTINGS)
        keeper.SETTINGS.update({"shared_buffers": "64MB"} | self._more)
        try:
            super().start()
        finally:
            keeper.SETTINGS.clear()
            keeper.SETTINGS.update(usual)

    async def do(self, what: Callable[[], object]) -> None:
        """One of the methods that start and stop, beside what else goes on."""
        await asyncio.get_running_loop().run_in_executor(_hands, what)

    def do_now(self, what: Callable[[], object]) -> None:
        """As `do`, for fixtures."""
        _hands.submit(what).result()

    @property
    def runs(self) -> bool:
        """Whether the postmaster is there."""
        return self.server is not None and self.server.poll() is None

    def stop_at_once(self) -> None:
        """`pg_ctl stop -m immediate`: no checkpoint, no farewell; the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """kill -9 of the postmaster. Its back ends notice by themselves."""
        self._end(signal.SIGKILL)

    def kill_a_back_end(self) -> bool:
        """kill -9 of one back end that serves a client: Postgres then throws all out and recovers."""
        for pid in self._back_ends():
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def dispose(self) -> None:
        """Stop, and remove everything."""
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", *, host: str | None = None, port: int | None = None) -> str:
        """How to connect: to it, or to a stand-in at `host` and `port`."""
        password = (self.folder / "password").read_text()
        place = urlencode({"host": host or str(self.run_folder), "port": port or keeper.SOCKET_PORT})
        return f"postgresql://postgres:{quote(password)}@/{database}?{place}"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.run_folder / f".s.PGSQL.{keeper.SOCKET_PORT}"

    async def database(self) -> str:
        """The name of a new, migrated database."""
        if self._template is None:
            name = f"template_{token_hex(4)}"
            await self.execute(f'create database "{name}" template template0')
            await migrate(self.url(name))
            self._template = name
        name = f"faults_{token_hex(4)}"
        await self.execute(f'create database "{name}" template "{self._template}"')
        return name

    async def drop(self, database: str) -> None:
        """Drop a database, whoever uses it."""
        await self.execute(f'drop database if exists "{database}" with (force)')

    async def execute(self, statement: str, database: str = "postgres") -> int:
        """Run one statement as the superuser; returns the number of rows that came back."""
        connection = await asyncpg.connect(self.url(database), timeout=10)
        try:
            return len(await connection.fetch(statement))
        finally:
            await connection.close()

    async def terminate_back_ends(self, database: str) -> int:
        """Cut every connection to the database from the server's side; returns how many."""
        return await self.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            f" where datname = '{database}' and pid <> pg_backend_pid()"
        )

    def _end(self, sign: signal.Signals) -> None:
        assert self.server is not None
        self.server.send_signal(sign)
        self.server.wait(END_SECONDS)
        self._await_back_ends()

    def _await_back_ends(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline and self._processes():
            time.sleep(0.05)

    def _processes(self) -> list[int]:
        """The processes that work in its data folder."""
        found = []
        for place in Path("/proc").iterdir():
            try:
                if place.name.isdigit() and (place / "cwd").samefile(self.data):
                    found.append(int(place.name))
            except OSError:
                continue
        return found

    def _back_ends(self) -> list[int]:
        found = []
        for pid in self._processes():
            try:
                title = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"postgres: postgres faults_"):
                found.append(pid)
        return found
