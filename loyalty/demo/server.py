"""A server of the demo's own: `loyalty serve` in a fresh folder, on a free port, with a key made up on the spot."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from loyalty.settings import PREFIX

FOLDER = Path(".loyalty-demo")
PROGRAM = Path(__file__).with_name("program.toml")
_MARK = "made-by-loyalty-demo"
_STOP_SECONDS = 60
_SAYS = "loyalty: listening at "


class ServerError(Exception):
    """The demo's server does not start, or an earlier demo's still runs."""


class Server(Struct, frozen=True):
    """A running server: where it listens, its admin key, and its process."""

    base: str
    key: str
    process: subprocess.Popen[str]


@contextmanager
def fresh_server() -> Iterator[Server]:
    """Start a server on an empty ledger; it is stopped at the end."""
    _clear()
    key = f"demo-{secrets.token_hex(16)}"
    process = subprocess.Popen(
        [sys.executable, "-m", "loyalty.cli.main", "serve"],
        cwd=FOLDER,
        env=_environment(
            ADMIN_KEY=key, HOST="127.0.0.1", PORT="0", PROGRAM=str(PROGRAM), SANDBOX="1", LOG_LEVEL="warning"
        ),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches the demo alone, which then stops the server
    )
    (FOLDER / _MARK).write_text(str(process.pid))
    try:
        yield Server(_listening(process), key, process)
    finally:
        _stop(process)


def audit() -> tuple[int, str]:
    """What `loyalty audit` says of the demo's ledger: its exit code and its words."""
    done = subprocess.run(
        [sys.executable, "-m", "loyalty.cli.main", "audit"],
        cwd=FOLDER,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip() or done.stderr.strip()


def _environment(**settings: str) -> dict[str, str]:
    """This process's, without settings that belong to another database, able to find this very package."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    here = str(Path(__file__).resolve().parents[2])
    found["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return found | {PREFIX + name: value for name, value in settings.items()}


def _clear() -> None:
    mark = FOLDER / _MARK
    if FOLDER.exists():
        if not mark.exists() and any(FOLDER.iterdir()):
            raise ServerError(f"{FOLDER.resolve()} is not the demo's: move it away, or start elsewhere.")
        if mark.exists() and _runs(mark.read_text()):
            raise ServerError(
                f"The server of an earlier demo still runs here (process {mark.read_text()}): "
                "stop it with Ctrl-C in its terminal, or kill it, then start again."
            )
        shutil.rmtree(FOLDER)
    FOLDER.mkdir()
    (FOLDER / _MARK).touch()


def _runs(pid: str) -> bool:
    try:
        return b"loyalty" in Path(f"/proc/{int(pid)}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def _listening(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_SAYS):
            return line.removeprefix(_SAYS).split()[0]
    raise ServerError("The server did not start; what it said stands above.")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
