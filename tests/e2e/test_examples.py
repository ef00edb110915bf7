"""The examples run as their readers run them, twice: the second time with a member who has points."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.e2e.face import face

EXAMPLES = Path(__file__).parents[2] / "examples"


async def run(name: str, url: str, key: str) -> str:
    """What an example prints."""
    done = await asyncio.to_thread(_run, [sys.executable, str(EXAMPLES / name), url, key])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_a_till(database_url: str) -> None:
    async with face(database_url) as server:
        key = await server.key("pos")
        first = await run("pos.py", server.url, key)
        assert "earned 168, available 168" in first
        assert "give back 1990; 20 points taken back" in first
        await asyncio.sleep(1)
        second = await run("pos.py", server.url, key)
        assert "redeemed 148, earned 167" in second
        balance = (await server.get("/v1/members/phone:+8613800000077/balance")).json()
        assert balance["debt"] == 0


async def test_an_e_shop(database_url: str) -> None:
    async with face(database_url) as server:
        said = await run("eshop.py", server.url, await server.key("eshop"))
        assert "earned 259" in said
        assert "held 200 points, worth 200" in said
        assert "redeemed 200, earned 97" in said
        assert "156 points, worth 156; ordinary" in said
        assert said.count("redeem") == 2
