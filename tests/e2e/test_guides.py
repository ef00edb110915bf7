"""The guides and the README, as printed: every command line in them is run in a folder like the reader's."""

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.shell import environment
from tests.e2e.test_api_serve import process

ROOT = Path(__file__).parents[2]
SERVER = "127.0.0.1:8080"
ADMIN_KEY = "try-it-out"
BEFORE = re.compile(r"make |LOYALTY_ADMIN_KEY=")
"""What the test has done already: it is set up, and a server runs."""
STRICT = 'set -eu; curl() { command curl --fail-with-body --silent --show-error "$@"; echo; }\n'


def _commands(page: str) -> str:
    lines = [line[4:] for line in (ROOT / page).read_text().splitlines() if line.startswith("    ")]
    return "\n".join(line for line in lines if not BEFORE.match(line))


@pytest.mark.parametrize(
    ("page", "at_the_end"),
    [
        ("README.md", '"verified":true'),
        ("docs/guides/till.md", '"refund_amount":1990'),
        ("docs/guides/e-shop.md", '"token":"member_'),
        ("docs/guides/member-page.md", '"purchases":[]'),
        ("docs/guides/ops.md", "clean: 1 accounts"),
    ],
)
async def test_a_page_does_what_it_says(
    database_url: str, tmp_path: Path, page: str, at_the_end: str
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the pages call with curl, which is not here")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    async with process(database_url, admin_key=ADMIN_KEY, schedule="off") as (_, url):
        commands = _commands(page).replace(SERVER, url.removeprefix("http://"))
        ran = await asyncio.create_subprocess_exec(
            *("bash", "-c", STRICT + commands),
            cwd=tmp_path,
            env=environment(database_url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await ran.communicate())[0].decode()
    assert ran.returncode == 0, said
    assert at_the_end in said, said
