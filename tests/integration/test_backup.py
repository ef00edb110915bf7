"""Backup and restore as docs/OPERATIONS.md says: dump, restore elsewhere, audit, go on; nothing is done twice."""

import asyncio
import shutil
from pathlib import Path
from secrets import token_hex

import asyncpg
import pytest

from loyalty.db.embedded import EmbeddedPostgresError, _install
from tests.e2e.face import Face, face, purchase, serving
from tests.e2e.shell import loyalty
from tests.integration.everything import url_of


def _tool(name: str) -> str:
    try:
        return str(_install() / "bin" / name)
    except EmbeddedPostgresError:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not here")
        return found


async def _run(*command: str) -> None:
    ran = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await ran.communicate()
    assert ran.returncode == 0, said.decode()


async def test_a_dump_is_restored_audited_and_gone_on_with(
    database_url: str, postgres_url: str, tmp_path: Path
) -> None:
    dump, restored = tmp_path / "loyalty.dump", f"loyalty_restored_{token_hex(4)}"
    async with face(database_url) as shop:
        member = await shop.member(name="Li Lei", phone="+8613800000001")
        receipt = await shop.buy(member, "p-1")
        key = await shop.key("pos")
        await _run(_tool("pg_dump"), "--format=custom", f"--file={dump}", f"--dbname={database_url}")
        await shop.buy(member, "p-2")  # after the backup: the till sends it again below
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f'create database "{restored}" template template0')
    url = url_of(postgres_url, restored)
    try:
        await _run(_tool("pg_restore"), "--exit-on-error", f"--dbname={url}", str(dump))
        loyalty(url, "audit", cwd=tmp_path)
        async with serving(url) as address, Face(address, key) as till:
            again = await till.post("/v1/purchases", json=purchase(member, "p-1"))
            assert (again.status_code, again.json()) == (200, receipt), "answered as it was then"
            late = await till.post("/v1/purchases", json=purchase(member, "p-2"))
            assert late.status_code == 201, "what came after the backup is done again"
            assert (await till.get("/v1/members/phone:+8613800000001/balance")).json()["balance"] == 200
        loyalty(url, "audit", cwd=tmp_path)
        owner = await asyncpg.connect(url)
        with pytest.raises(asyncpg.PostgresError, match="append-only"):
            await owner.execute("delete from loyalty.entry")
        await owner.close()
    finally:
        await admin.execute(f'drop database "{restored}" with (force)')
        await admin.close()
