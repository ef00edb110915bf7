"""Restoring to an instant, as docs/OPERATIONS.md says: a base backup, the archived log, and the tills that send again.

With the tools of the embedded Postgres: pg_basebackup, archive_command, restore_command.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from tests.e2e.face import Face, face, purchase, serving
from tests.e2e.shell import loyalty
from tests.faults.postgres import Postgres


@pytest.fixture
def archive() -> Iterator[Path]:
    """Where the write-ahead log is kept, outside of the cluster, open to the account that runs Postgres."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
async def archived(tmp_path: Path, archive: Path) -> AsyncIterator[Postgres]:
    postgres = Postgres(
        tmp_path / "cluster",
        {"archive_mode": "on", "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f"},
    )
    await postgres.do(postgres.start)
    yield postgres
    await postgres.do(postgres.dispose)


async def test_a_base_backup_and_the_archived_log_are_restored_to_an_instant(
    archived: Postgres, archive: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    database = await archived.database()
    async with face(archived.url(database)) as shop:
        await shop.member(member_id="li", phone="+8613800000001")
        receipt = await shop.buy("li", "p-1")
        key = await shop.key("pos")
        await _back_up(archived, backup)
        await shop.buy("li", "p-2")  # only in the log
        instant = await _now(archived.url(database))
        await shop.buy("li", "p-3")  # after the instant
    await _archived_so_far(archived)
    await archived.do(archived.kill)

    restored = _restored(archived, backup, tmp_path / "restored", archive, instant)
    await restored.do(restored.start)
    try:
        url = restored.url(database)
        loyalty(url, "audit", cwd=tmp_path)
        async with serving(url) as address, Face(address, key) as till:
            balance = f"/v1/members/{'phone:+8613800000001'}/balance"
            assert (await till.get(balance)).json()["balance"] == 200, "p-1 and p-2"
            again = [await till.post("/v1/purchases", json=purchase("li", f"p-{n}")) for n in (1, 2, 3)]
            assert [answer.status_code for answer in again] == [200, 200, 201]
            assert again[0].json() == receipt
            assert (await till.get(balance)).json()["balance"] == 300
        loyalty(url, "audit", cwd=tmp_path)
    finally:
        await restored.do(restored.dispose)


async def _back_up(postgres: Postgres, to: Path) -> None:
    ran = await asyncio.create_subprocess_exec(
        str(postgres.install / "bin" / "pg_basebackup"),
        *("--checkpoint=fast", f"--pgdata={to}", f"--dbname={postgres.url()}"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await ran.communicate()
    assert ran.returncode == 0, said.decode()


async def _now(url: str) -> datetime:
    connection = await asyncpg.connect(url)
    try:
        now: datetime = await connection.fetchval("select clock_timestamp()")
        return now
    finally:
        await connection.close()


async def _archived_so_far(postgres: Postgres) -> None:
    """What was acknowledged is in the archive: a busy server gets there by itself, or by archive_timeout."""
    connection = await asyncpg.connect(postgres.url())
    try:
        last = await connection.fetchval("select pg_walfile_name(pg_switch_wal())")
        async with asyncio.timeout(30):
            archived = ""
            while archived < last:
                await asyncio.sleep(0.1)
                archived = await connection.fetchval("select last_archived_wal from pg_stat_archiver") or ""
    finally:
        await connection.close()


def _restored(source: Postgres, backup: Path, folder: Path, archive: Path, instant: datetime) -> Postgres:
    """The backup as a cluster that replays the log up to the instant when it is started."""
    folder.mkdir(mode=0o700)
    data = folder / "postgres"
    shutil.move(backup, data)
    (data / "recovery.signal").touch()
    if source.account is not None:
        for place in (data, *data.rglob("*")):
            os.chown(place, source.account.pw_uid, source.account.pw_gid)
    shutil.copy(source.folder / "password", folder)
    return Postgres(
        folder,
        {
            "restore_command": f"cp {archive}/%f %p",
            "recovery_target_time": instant.isoformat(),
            "recovery_target_action": "promote",
        },
    )
