"""DESIGN.md section 10: the server as a process: it migrates, says where it listens, and stops gracefully."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.e2e.face import ADMIN_KEY, PROGRAM, Face, purchase
from tests.vault import SECRET_KEYS

_START = (
    "from loyalty.api.serve import serve; from loyalty.settings import read_settings; serve(read_settings())"
)


@asynccontextmanager
async def process(
    database_url: str, **settings: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A server process of its own; gives it and its URL."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    environment |= {
        "LOYALTY_DATABASE_URL": database_url,
        "LOYALTY_SECRET_KEYS": SECRET_KEYS,
        "LOYALTY_PORT": "0",
        "LOYALTY_ADMIN_KEY": ADMIN_KEY,
        "LOYALTY_LOG_FORMAT": "json",
    }
    environment |= {f"LOYALTY_{name.upper()}": value for name, value in settings.items()}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _START,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert started.stdout is not None
    try:
        line = (await asyncio.wait_for(started.stdout.readline(), 60)).decode()
        if not line:
            raise RuntimeError((await started.communicate())[1].decode())
        yield started, line.split("listening at ")[1].split()[0]
    finally:
        if started.returncode is None:
            started.terminate()
            await asyncio.wait_for(started.communicate(), 40)


async def test_an_empty_database_is_migrated_and_gets_the_program_of_the_settings(
    empty_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "club.toml"
    file.write_text(PROGRAM)
    async with process(empty_database_url, program=str(file)) as (_, url), Face(url) as client:
        assert (await client.get("/health/ready")).json() == {"status": "ready", "reasons": []}
        assert (await client.get("/v1/program")).json()["name"] == "Test Club"
    file.write_text(PROGRAM.replace("Test Club", "Other Club"))
    async with process(empty_database_url, program=str(file)) as (_, url), Face(url) as client:
        assert (await client.get("/v1/program")).json()["name"] == "Test Club", (
            "applied at the first start only"
        )


async def test_a_server_that_is_asked_to_stop_answers_what_is_under_way(database_url: str) -> None:
    async with process(database_url) as (server, url), Face(url) as client:
        member = await client.member()
        owner = await asyncpg.connect(database_url)
        # The account is held, so that the purchase waits for it while the server is asked to stop.
        async with owner.transaction():
            await owner.fetch("select 1 from loyalty.account for update")
            under_way = asyncio.create_task(client.post("/v1/purchases", json=purchase(member, "p-1")))
            await asyncio.sleep(0.5)
            server.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            assert not under_way.done()
        await owner.close()
        answer = await under_way
        assert answer.status_code == 201
        assert await asyncio.wait_for(server.wait(), 40) in (0, -signal.SIGTERM)


async def test_the_log_has_one_line_a_request_and_no_personal_data(database_url: str) -> None:
    async with process(database_url) as (server, url), Face(url) as client:
        await client.member(phone="+8613800000077", name="Han Meimei")
        await client.get("/v1/members/phone:+8613800000077", headers={"x-request-id": "till-3/77"})
        await client.get("/v1/members?name=Han")
        server.terminate()
        _, errors = await server.communicate()
    log = errors.decode()
    assert log.count('"event":"request_answered"') == 3
    (line,) = [one for one in log.splitlines() if "till-3/77" in one]
    assert '"route":"/v1/members/{member}"' in line
    assert '"status":200' in line
    assert "138000" not in log
    assert "Han" not in log
    assert ADMIN_KEY not in log


async def test_a_database_that_may_lose_what_was_acknowledged_is_warned_of(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    name = await owner.fetchval("select current_database()")
    for setting, warned in (("off", True), ("on", False)):
        await owner.execute(f'alter database "{name}" set synchronous_commit = {setting}')
        async with process(database_url) as (server, _):
            server.terminate()
            _, errors = await server.communicate()
        assert ("synchronous_commit = off" in errors.decode()) == warned
    await owner.close()


@pytest.mark.slow
async def test_several_workers_serve_one_port_and_share_their_figures(database_url: str) -> None:
    async with process(database_url, workers="2") as (_, url), Face(url) as client:
        member = await client.member()
        await asyncio.gather(*(client.buy(member, f"p-{number}") for number in range(30)))
        assert (await client.get(f"/v1/members/{member}/balance")).json()["balance"] == 3_000
        async with Face(url) as other:
            figures = (await other.get("/metrics")).text
        assert 'route="/v1/purchases",status="201"} 30.0' in figures
