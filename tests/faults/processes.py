"""The server and the commands as processes that can be killed at any moment."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.e2e.face import ADMIN_KEY
from tests.e2e.shell import COMMAND, environment

START_SECONDS = 90.0
STOP_SECONDS = 40.0


class Server:
    """`loyalty serve` on a port that stays the same when it is started again."""

    def __init__(self, url: str | None, log: Path, **settings: str) -> None:
        self.port = _free_port()
        self._url = url
        self._log = log
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> float:
        """Start it and wait until it listens; returns the seconds that took."""
        begun = time.monotonic()
        settings = {
            "PORT": str(self.port), "ADMIN_KEY": ADMIN_KEY, "SANDBOX": "1", "LOG_FORMAT": "json",
            "LOG_LEVEL": "warning", "SCHEDULE": "off",
        } | self._settings  # fmt: skip
        # Files and no pipes: those of a killed server may still be held by what it has left behind.
        said = self._log.with_suffix(".out")
        with self._log.open("ab") as log, said.open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND, "serve",
                env=environment(self._url, **settings), cwd=self._log.parent,
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=log,
            )  # fmt: skip
        while b"listening" not in said.read_bytes():
            late = time.monotonic() > begun + START_SECONDS
            assert not late, "it does not start"
            assert self.runs, self._log.read_text()[-2000:]
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    def kill_a_worker(self) -> None:
        """kill -9 of the youngest of the processes that serve for it: the others go on."""
        assert self._process is not None
        workers = [
            (_stat(place)[19], place.name)  # when it was started
            for place in Path("/proc").iterdir()
            if place.name.isdigit()
            and _stat(place)[1] == self._process.pid
            and b"spawn_main" in _title(place)
        ]
        os.kill(int(max(workers)[1]), signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to stop, and wait."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            await self.kill()

    @property
    def runs(self) -> bool:
        """Whether the process that was started last is still there."""
        return self._process is not None and self._process.returncode is None

    def defects(self) -> list[str]:
        """What the log tells of defects of ours."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return [line for line in lines if '"level":"error"' in line or "Traceback" in line]


async def command(
    url: str, *arguments: str, cwd: Path, kill_when: Callable[[], Awaitable[bool]] | None = None
) -> tuple[int, str]:
    """Run `loyalty …`; returns its exit code and what it printed. It gets a kill -9 once `kill_when` says so."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments,
        env=environment(url), cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    reading = asyncio.create_task(process.stdout.read())
    while kill_when is not None and not reading.done():
        if await kill_when():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            break
        await asyncio.sleep(0.01)
    printed = (await reading).decode(errors="replace")
    return await process.wait(), printed


def _stat(place: Path) -> list[int]:
    """The numbers of /proc/…/stat after the state: parent, …"""
    with contextlib.suppress(OSError):
        return [0, *map(int, (place / "stat").read_text().rpartition(")")[2].split()[1:])]
    return [0] * 50


def _title(place: Path) -> bytes:
    with contextlib.suppress(OSError):
        return (place / "cmdline").read_bytes()
    return b""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
