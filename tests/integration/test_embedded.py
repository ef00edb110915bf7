"""The embedded Postgres: it comes back after any kill, serves its folder and stops with its owner."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from loyalty.db import embedded
from loyalty.db.embedded import EmbeddedPostgresError, embedded_postgres, embedded_postgres_sync

OWNER = """
import sys
from pathlib import Path
from loyalty.db.embedded import embedded_postgres_sync
with embedded_postgres_sync(Path(sys.argv[1]), serving=len(sys.argv) > 2) as url:
    print(url, flush=True)
    sys.stdin.read()
"""

Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that uses a folder's Postgres until its stdin closes; gives it and its URL."""
    begun: list[subprocess.Popen[str]] = []

    def begin(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", OWNER, str(folder), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def leave(process: "subprocess.Popen[str]") -> None:
    """The process ends in order."""
    process.communicate("", timeout=30)


def running(folder: Path) -> dict[str, int]:
    return json.loads((folder / "running.json").read_text())


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def execute(url: str, *statements: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def eventually(url: str, statement: str, seconds: float = 30) -> object:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await execute(url, statement)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            assert time.monotonic() < deadline, "Postgres did not come back"
            await asyncio.sleep(0.05)


async def test_data_stay_and_settings_are_durable(tmp_path: Path) -> None:
    folder = tmp_path / ".loyalty"
    async with embedded_postgres(folder) as url:
        assert await execute(url, "create table kept (n int)", "insert into kept values (7) returning n") == 7
        for setting, expected in (
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("timezone", "UTC"),
            ("server_encoding", "UTF8"),
            ("listen_addresses", ""),
            ("max_connections", "100"),
        ):
            assert await execute(url, f"select current_setting('{setting}')") == expected
    assert not (folder / "running.json").exists()
    with embedded_postgres_sync(folder) as url:
        assert await execute(url, "select n from kept") == 7


async def test_others_need_the_password(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / ".loyalty") as url:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url, password="guessed")
        assert (tmp_path / ".loyalty" / "password").stat().st_mode & 0o077 == 0
        socket_folder = Path(str(running(tmp_path / ".loyalty")["socket_folder"]))
        assert socket_folder.stat().st_mode & 0o077 == 0


def test_starting_does_not_block_the_event_loop(tmp_path: Path) -> None:
    async def run() -> float:
        gaps = []

        async def tick() -> None:
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - before)

        ticking = asyncio.create_task(tick())
        async with embedded_postgres(tmp_path / ".loyalty"):
            ticking.cancel()
        return max(gaps)

    assert asyncio.run(run()) < 0.25


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_stops_with_its_owner_even_when_that_is_killed(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / ".loyalty"
    owner, _ = start(folder)
    state = running(folder)
    owner.kill()
    wait_until(lambda: not alive(state["postmaster"]) and not alive(state["keeper"]))
    assert not Path(str(state["socket_folder"])).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_stops_when_its_keeper_is_killed(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / ".loyalty"
    start(folder)
    state = running(folder)
    os.kill(state["keeper"], signal.SIGKILL)
    wait_until(lambda: not alive(state["postmaster"]))
    _, url = start(folder)
    assert asyncio.run(execute(url, "select 1")) == 1


async def test_it_comes_back_by_itself_when_postgres_is_killed(tmp_path: Path, start: Start) -> None:
    _, url = start(tmp_path / ".loyalty")
    await execute(url, "create table kept (n int)", "insert into kept values (7) returning n")
    os.kill(running(tmp_path / ".loyalty")["postmaster"], signal.SIGKILL)
    assert await eventually(url, "select n from kept") == 7


async def test_it_recovers_when_everything_was_killed_at_once(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / ".loyalty"
    owner, url = start(folder)
    await execute(url, "create table kept (n int)", "insert into kept values (7) returning n")
    state = running(folder)
    for pid in (state["keeper"], state["postmaster"], owner.pid):
        os.kill(pid, signal.SIGKILL)
    _, url = start(folder)
    assert await execute(url, "select n from kept") == 7


async def test_a_stale_pid_file_that_names_a_stranger_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ".loyalty"
    async with embedded_postgres(folder):
        lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    lines[0] = str(os.getppid())
    (folder / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    async with embedded_postgres(folder) as url:
        assert await execute(url, "select 1") == 1


async def test_an_initialisation_that_was_interrupted_is_begun_again(tmp_path: Path) -> None:
    half = tmp_path / ".loyalty" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with embedded_postgres(tmp_path / ".loyalty") as url:
        assert await execute(url, "select 1") == 1


async def test_two_that_start_at_once_share_one(tmp_path: Path) -> None:
    folder = tmp_path / ".loyalty"

    def begin() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", OWNER, str(folder), "serving"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    processes = [begin() for _ in range(3)]
    urls = {process.stdout.readline().strip() for process in processes if process.stdout}
    assert len(urls) == 1
    leave(processes[0])
    leave(processes[1])
    assert await execute(urls.pop(), "select 1") == 1
    leave(processes[2])
    assert not (folder / "running.json").exists()


async def test_a_command_does_not_stop_the_servers_postgres(tmp_path: Path, start: Start) -> None:
    server, url = start(tmp_path / ".loyalty", "serving")
    async with embedded_postgres(tmp_path / ".loyalty") as same:
        assert same == url
    assert await execute(url, "select 1") == 1
    leave(server)


async def test_a_command_fails_cleanly_when_the_server_stops(tmp_path: Path, start: Start) -> None:
    server, _ = start(tmp_path / ".loyalty", "serving")
    async with embedded_postgres(tmp_path / ".loyalty") as url:
        connection = await asyncpg.connect(url)
        leave(server)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.fetchval("select 1")


async def test_a_server_keeps_the_postgres_that_a_command_started(tmp_path: Path, start: Start) -> None:
    command, _ = start(tmp_path / ".loyalty")
    async with embedded_postgres(tmp_path / ".loyalty", serving=True) as url:
        leave(command)
        assert await execute(url, "select 1") == 1
    assert not (tmp_path / ".loyalty" / "running.json").exists()


async def test_a_deep_folder_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    async with embedded_postgres(deep / ".loyalty") as url:
        assert await execute(url, "select 1") == 1


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="is about root")
async def test_root_runs_it_as_nobody_even_from_a_folder_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    programs = closed / "embedded_postgres" / "pginstall"
    shutil.copytree(installed := embedded._install(), programs)
    libraries = installed.parent.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setattr(embedded, "_install", lambda: programs)
    async with embedded_postgres(closed / ".loyalty") as url:
        assert await execute(url, "create extension pg_trgm", "select similarity('a', 'a')::int") == 1
        postmaster = running(closed / ".loyalty")["postmaster"]
        assert Path(f"/proc/{postmaster}").stat().st_uid != 0
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_data_of_another_version_are_refused_with_advice(tmp_path: Path) -> None:
    folder = tmp_path / ".loyalty"
    async with embedded_postgres(folder):
        pass
    (folder / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedPostgresError, match=r"written by PostgreSQL 12"):
        async with embedded_postgres(folder):
            pass


async def test_without_the_package_the_message_tells_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(EmbeddedPostgresError, match=r"pip install '.\[embedded\]'"):
        async with embedded_postgres(tmp_path / ".loyalty"):
            pass


async def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / ".loyalty").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="cannot use"):
        async with embedded_postgres(tmp_path / ".loyalty"):
            pass
