"""The HTTP face for tests: a real server on a real port in this process, and builders of what is sent to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn

from loyalty.api.app import create_app
from loyalty.api.patience import Connection
from loyalty.settings import Settings
from tests.vault import SECRET

ADMIN_KEY = "admin-key-of-the-tests"
PROGRAM = """
name = "Test Club"
currency = "CNY"
time_zone = "Asia/Shanghai"
[redemption]
points = 100
amount = 100
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 500000 }
[[rules]]
id = "base"
kind = "spend"
points = 1
per_amount = 100
"""


@asynccontextmanager
async def serving(database_url: str, **settings: Any) -> AsyncIterator[str]:
    """A server on the database, without a schedule unless one is given; gives its URL."""
    given = {
        "admin_key": ADMIN_KEY,
        "secret_keys": (SECRET,),
        "schedule": "off",
        "log_level": "error",
    } | settings
    chosen = Settings(database_url=database_url, **given)
    config = uvicorn.Config(
        create_app(chosen), host="127.0.0.1", port=0, http=Connection, lifespan="on", log_config=None
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
            raise RuntimeError("the server did not start")
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


class Face(httpx.AsyncClient):
    """A client with a key."""

    def __init__(self, url: str, key: str = ADMIN_KEY) -> None:
        super().__init__(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        self.url = url

    async def program(self, source: str = PROGRAM) -> None:
        """Put a program in force."""
        answer = await self.put("/v1/program", content=source, headers={"content-type": "application/toml"})
        assert answer.status_code == 200, answer.text

    async def member(self, **fields: Any) -> str:
        """Enrol a member and return the member_id."""
        answer = await self.post("/v1/members", json=fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["member_id"])

    async def buy(self, member: str, purchase_id: str, amount: int = 10_000, **fields: Any) -> dict[str, Any]:
        """Record a purchase of one line and return the receipt."""
        answer = await self.post("/v1/purchases", json=purchase(member, purchase_id, amount, **fields))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def key(self, role: str) -> str:
        """Make a key of the role and return its secret."""
        answer = await self.post("/v1/keys", json={"role": role, "name": f"a {role}"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["key"])


@asynccontextmanager
async def face(database_url: str, **settings: Any) -> AsyncIterator[Face]:
    """A server, and a client of it with the admin key and the test's program."""
    async with serving(database_url, **settings) as url, Face(url) as client:
        await client.program()
        yield client


def purchase(member: str, purchase_id: str, amount: int = 10_000, **fields: Any) -> dict[str, Any]:
    """A purchase of one line, an hour ago."""
    return {
        "purchase_id": purchase_id,
        "member": member,
        "occurred_at": hours_ago(1),
        "channel": "pos",
        "lines": [{"sku": "LAMP-1", "amount": amount}],
    } | fields


def hours_ago(hours: float) -> str:
    return (_NOW - timedelta(hours=hours)).isoformat()


_NOW = datetime.now(UTC)


def code(answer: httpx.Response, status: int) -> str:
    """The problem's code, once it is seen to be a whole problem of this status."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert "Traceback" not in answer.text
    return str(problem["code"])
