"""The server and its OpenAPI document say the same: requests are made from it, and what comes back is held against it.

At length, against any server that may be filled with rubbish:

    .venv/bin/schemathesis --config-file tests/e2e/schemathesis.toml run URL/schema/openapi.json \
        -H 'Authorization: Bearer KEY' -H 'Connection: close' -n 150

Each request has a connection of its own: one that sends wrong requests again and again is read more slowly.
"""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.face import ADMIN_KEY, face

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_generated_requests_get_what_the_document_promises(database_url: str) -> None:
    async with face(database_url) as server:
        await server.member(member_id="li", phone="+8613800000001")
        run = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", CONFIG, "run", f"{server.url}/schema/openapi.json"),
            *("--header", f"Authorization: Bearer {ADMIN_KEY}", "--header", "Connection: close"),
            *("--max-examples", "5", "--seed", "1", "--workers", "1"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await run.communicate()
    text = said.decode()
    assert run.returncode == 0, text[-20_000:]
    generated = re.search(r"(\d+) generated", text)
    assert generated is not None
    assert int(generated[1]) > 500
