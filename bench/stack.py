"""The processes that are measured: one embedded Postgres with many databases, and real servers on loopback."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import asyncpg

from bench.load import BenchError
from loyalty.db.embedded import embedded_postgres_sync
from loyalty.db.migrate import migrate

KEY = "bench-key-not-secret"
SECRET_KEYS = "bm90IGEgc2VjcmV0OiBmb3IgbWVhc3VyaW5nIG9ubHk="
START_SECONDS = 60.0
STOP_SECONDS = 40.0
ROOT = Path(__file__).resolve().parents[1]


class Server:
    """A server process on a free port of the loopback."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self._log = log.open("ab")
        environment = {"LOYALTY_HOST": "127.0.0.1", "LOYALTY_PORT": "0", "LOYALTY_ADMIN_KEY": KEY,
                       "LOYALTY_LOG_LEVEL": "warning", "LOYALTY_SCHEDULE": "off", **environment}  # fmt: skip
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LOYALTY_")}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=kept | environment, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.url = self._wait(log)

    def _wait(self, log: Path) -> str:
        assert self.process.stdout is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            if not line:
                break
            if "listening at " in line:
                return line.split("listening at ")[1].split()[0]
        self.stop()
        raise BenchError(f"the server {self.name} did not start:\n{log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Ask it to stop, then insist."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()


class Stack:
    """Everything of one run, in a temporary folder. Use it with `with`."""

    def __init__(self, preload: str = "") -> None:
        self._exit = contextlib.ExitStack()
        self._preload = preload

    def __enter__(self) -> "Stack":
        self.folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="loyalty-bench-")))
        data = self.folder / "db"
        if self._preload:
            with embedded_postgres_sync(data, serving=True) as url:
                asyncio.run(_execute(url, f"alter system set shared_preload_libraries = '{self._preload}'"))
        self.postgres_url = self._exit.enter_context(embedded_postgres_sync(data, serving=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def database(self, name: str, template: str | None = None) -> str:
        """A new database, migrated, or copied from another that nobody uses now. Returns its URL."""
        source = template or "template0"
        asyncio.run(
            _execute(self.postgres_url, f'create database "{name}" template "{source}" strategy file_copy')
        )
        url = self.url(name)
        if template is None:
            asyncio.run(migrate(url))
        return url

    def drop(self, name: str) -> None:
        """Remove a database with all that is in it."""
        asyncio.run(_execute(self.postgres_url, f'drop database if exists "{name}" with (force)'))

    def url(self, name: str) -> str:
        """The URL of a database of this run."""
        return urlunsplit(urlsplit(self.postgres_url)._replace(path=f"/{name}"))

    def serve(self, name: str, database_url: str, program: Path | None = None, **more: str) -> Server:
        """`loyalty serve`, as anyone would start it, until the run ends."""
        environment = {"LOYALTY_DATABASE_URL": database_url, "LOYALTY_SECRET_KEYS": SECRET_KEYS, **more}
        if program is not None:
            environment["LOYALTY_PROGRAM"] = str(program)
        return self.start(name, ["-m", "loyalty.cli.main", "serve"], environment)

    def start(self, name: str, arguments: list[str], environment: dict[str, str]) -> Server:
        """Another Python server; it says `listening at URL` when it does."""
        server = Server(name, [sys.executable, *arguments], environment, self.folder / f"{name}.log")
        self._exit.callback(server.stop)
        return server

    def libpq_environment(self, database: str) -> dict[str, str]:
        """What tools of Postgres need to connect."""
        parts = urlsplit(self.postgres_url)
        query = parse_qs(parts.query)
        return {
            "PGHOST": query["host"][0] if "host" in query else parts.hostname or "",
            "PGPORT": query["port"][0] if "port" in query else str(parts.port or 5432),
            "PGUSER": parts.username or "",
            "PGPASSWORD": unquote(parts.password or ""),
            "PGDATABASE": database,
        }

    def postgres_processes(self) -> Iterator[int]:
        """The process ids of the Postgres of this run."""
        postmaster = int((self.folder / "db" / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        yield postmaster
        yield from children_of(postmaster)


def children_of(process: int) -> list[int]:
    """Its child processes (Linux)."""
    tasks = Path(f"/proc/{process}/task/{process}/children")
    return [int(number) for number in tasks.read_text().split()] if tasks.exists() else []


def memory_of(processes: Iterator[int]) -> int:
    """Bytes of main memory, shared pages split among those that share them (Linux)."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
