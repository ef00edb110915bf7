"""Promise 9: the disk under Postgres is full for a while. Needs the right to mount a file system of a few megabytes."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.harness import LONG, Ground
from tests.faults.load import Load
from tests.faults.postgres import Postgres

DISK_MEGABYTES = 400
SMALL = {"min_wal_size": "32MB", "max_wal_size": "64MB", "shared_buffers": "32MB"}
TIMES = 4 if LONG else 1
FULL_SECONDS = 3.0


@pytest.fixture
async def small_disk(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder that holds so much and no more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small file system: run the tests as root to include it")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
async def ground_on_small_disk(small_disk: Path, tmp_path: Path) -> AsyncIterator[Ground]:
    """As `ground`, with a Postgres of its own whose disk is small."""
    postgres = Postgres(small_disk / "cluster", SMALL)
    await postgres.do(postgres.start)
    made = Ground("the disk is full", postgres, await postgres.database(), tmp_path)
    yield made
    await made.close()
    await postgres.do(postgres.dispose)


async def test_the_disk_is_full(ground_on_small_disk: Ground, small_disk: Path) -> None:
    ground = ground_on_small_disk
    server = await ground.serve()

    async def fill_and_clear(load: Load) -> None:
        for _ in range(TIMES):
            await load.more(60)
            before = load.acknowledged
            _fill(small_disk / "ballast")
            ground.faults += 1
            await _until_refused(load)
            await asyncio.sleep(FULL_SECONDS)
            (small_disk / "ballast").unlink()
            if not ground.postgres.runs:
                await ground.postgres.do(ground.postgres.start)
            assert load.acknowledged >= before
            await ground.again(load)

    await ground.settle(await ground.load(fill_and_clear))
    assert server.runs


async def _until_refused(load: Load) -> None:
    """Until the tills feel it: there is some room in files that exist already."""
    before = load.seen["503"]
    for _ in range(1200):
        if load.seen["503"] > before or load.wrong:
            return
        await asyncio.sleep(0.05)


def _fill(ballast: Path) -> None:
    """Take what room there is, to the last byte."""
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(os.urandom(size))
