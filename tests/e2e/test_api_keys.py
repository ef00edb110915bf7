"""Keys of a store, keys that end, revocation when the database's notices do not come, and the log of acts."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from loyalty import keys
from loyalty.db.connect import open_pool
from loyalty.errors import Overloaded
from loyalty.keys import KeyRing, create_key, revoke_key
from tests.e2e.face import ADMIN_KEY, PROGRAM, Face, code, face, purchase


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url, sandbox=True) as client:
        yield client


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with await open_pool(database_url, size=2) as opened:
        yield opened


async def _made(shop: Face, **fields: Any) -> dict[str, Any]:
    answer = await shop.post("/v1/keys", json={"role": "pos", "name": "till 3"} | fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_key_of_a_store_records_purchases_of_that_store_alone(shop: Face) -> None:
    await shop.member(member_id="li")
    made = await _made(shop, store="17")
    assert made["store"] == "17"
    async with Face(shop.url, made["key"]) as till:
        own, other, none = (
            purchase("li", f"p-{n}", store=store) for n, store in enumerate(("17", "18", None))
        )
        assert (await till.post("/v1/purchases", json=own)).status_code == 201
        for wrong in (other, none):
            assert code(await till.post("/v1/purchases", json=wrong), 403) == "forbidden"
            assert code(await till.post("/v1/quotes", json=wrong), 403) == "forbidden"
        batch = [{"kind": "purchase"} | one for one in (own, other, none)]
        results = (await till.post("/v1/purchases/batch", json=batch)).json()["results"]
        assert [one["status"] for one in results] == ["replayed", "refused", "refused"]
        assert results[1]["problem"]["code"] == "forbidden"
        assert (await till.get("/v1/members/li/balance")).status_code == 200


async def test_a_key_that_cannot_be_is_refused(shop: Face) -> None:
    over = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    for wrong in (
        {"role": "ops", "store": "17"},
        {"role": "admin", "store": "17"},
        {"expires_at": over},
        {"expires_at": "2999-01-01T00:00:00"},
        {"expires_at": "9999-12-31T23:59:59-08:00"},
        {"store": ""},
    ):
        answer = await shop.post("/v1/keys", json={"role": "pos", "name": "x"} | wrong)
        assert code(answer, 400) == "invalid-request", wrong


async def test_a_key_ends_at_its_time(shop: Face) -> None:
    ends_at = datetime.now(UTC) + timedelta(seconds=2)
    made = await _made(shop, expires_at=ends_at.isoformat())
    async with Face(shop.url, made["key"]) as till:
        assert code(await till.get("/v1/members/nobody"), 404) == "unknown-member"
        await asyncio.sleep((ends_at - datetime.now(UTC)).total_seconds())
        assert code(await till.get("/v1/members/nobody"), 401) == "unauthenticated"
    (listed,) = (await shop.get("/v1/keys")).json()["keys"]
    assert datetime.fromisoformat(listed["expires_at"]) == ends_at


async def test_a_revocation_is_heard_although_the_listening_connection_was_lost(
    database_url: str, pool: asyncpg.Pool
) -> None:
    ring = KeyRing(database_url, None)
    await ring.open()
    try:
        key, secret = await create_key(pool, "pos", "till")
        await _until(lambda: ring.get(secret.encode()) is not None, 2)
        owner = await asyncpg.connect(database_url)
        await owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'loyalty keys'"
            " and datname = current_database()"
        )
        await owner.close()
        await revoke_key(pool, key.key_id)
        await _until(lambda: ring.get(secret.encode()) is None, 2 * keys.REREAD_SECONDS)
    finally:
        await ring.close()


@pytest.mark.parametrize(
    "failure",
    [
        asyncpg.PostgresConnectionError("away"),
        asyncpg.InterfaceError("away"),
        asyncpg.InternalClientError("away"),
        OSError("away"),
        TimeoutError("away"),
    ],
    ids=repr,
)
async def test_keys_that_cannot_be_read_are_not_believed_for_long_and_are_again_when_they_can(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(keys, "STALE_SECONDS", 0.5)
    ring = KeyRing(database_url, ADMIN_KEY)
    _, secret = await create_key(pool, "pos", "till")
    await ring.open()
    try:
        assert ring.get(secret.encode()) is not None

        async def away(_connection: object) -> None:
            raise failure

        with monkeypatch.context() as patch:
            patch.setattr(ring, "_read", away)
            await _until(lambda: ring.get(secret.encode()) is None, 2)
            with pytest.raises(Overloaded):
                await ring.find(secret.encode())
            assert ring.get(ADMIN_KEY.encode()) is not None  # given by the environment, not by the database
        await _until(lambda: ring.get(secret.encode()) is not None, 2 * keys.REREAD_SECONDS)
    finally:
        await ring.close()


async def _until(holds: Any, seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.01)


async def test_every_administrative_act_is_written_down_with_who_did_it(shop: Face) -> None:
    await shop.member(member_id="li", phone="+8613800000001", name="Li Lei")
    for member in ("old", "gone"):
        await shop.member(member_id=member)
    made = await _made(shop, role="ops", name="Zhang, back office")
    async with Face(shop.url, made["key"]) as ops:
        ops.headers["x-request-id"] = "req-1"
        toml = {"content-type": "application/toml"}
        await ops.put("/v1/program", content=PROGRAM.replace("points = 1\n", "points = 2\n"), headers=toml)
        await ops.patch("/v1/members/phone:+8613800000001", json={"status": "blocked"})
        await ops.patch("/v1/members/li", json={"status": "blocked"})  # nothing changes
        await ops.patch("/v1/members/li", json={"status": "active"})
        adjustment = {"adjustment_id": "a-1", "points": 5, "reason": "for Li Lei"}
        for _ in range(2):
            await ops.post("/v1/members/phone:+8613800000001/adjustments", json=adjustment)
        await ops.post("/v1/members/li/adjustments", json=adjustment | {"adjustment_id": "a-2", "points": -6})
        for _ in range(2):
            await ops.post("/v1/members/old/merge", json={"into": "phone:+8613800000001"})
        await ops.delete("/v1/members/gone")
        job = (await ops.post("/v1/jobs/expiry")).json()["job_id"]
    now = datetime.now(UTC) + timedelta(hours=1)
    await shop.put("/v1/sandbox/clock", json={"now": now.isoformat()})
    await shop.delete(f"/v1/keys/{made['key_id']}")
    await shop.delete(f"/v1/keys/{made['key_id']}")
    found = (await shop.get("/v1/acts")).json()
    assert found["next_cursor"] is None
    acts = list(reversed(found["acts"]))
    assert [(one["what"], one["target"]) for one in acts[-10:]] == [
        ("key.created", made["key_id"]),
        ("program.put", "3"),
        ("member.blocked", "li"),
        ("member.unblocked", "li"),
        ("points.adjusted", "a-1"),
        ("member.merged", "old"),
        ("member.erased", "gone"),
        ("job.started", job),
        ("clock.set", now.isoformat()),
        ("key.revoked", made["key_id"]),
    ]
    by = {(one["key_id"], one["key_name"], one["request_id"]) for one in acts[-9:-2]}
    assert by == {(made["key_id"], "Zhang, back office", "req-1")}
    assert {(one["key_id"], one["key_name"]) for one in acts[-2:]} == {("env", "LOYALTY_ADMIN_KEY")}
    assert acts[-5]["details"] == {"into": "li"}
    assert acts[-6]["details"] == {"points": 5}
    said = str(acts)
    assert "Li Lei" not in said
    assert "138" not in said


async def test_the_log_of_acts_goes_on_behind_its_cursor_and_cannot_be_changed(
    shop: Face, database_url: str
) -> None:
    for number in range(5):
        await _made(shop, name=f"till {number}")
    first = (await shop.get("/v1/acts?limit=3")).json()
    then = (await shop.get(f"/v1/acts?limit=200&cursor={first['next_cursor']}")).json()
    ids = [one["act_id"] for one in first["acts"] + then["acts"]]
    assert len(ids) >= 5
    assert ids == sorted(ids, reverse=True)
    owner = await asyncpg.connect(database_url)
    try:
        for statement in ("update act set key_name = 'me'", "delete from act", "truncate act"):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await owner.execute(f"set search_path = loyalty; {statement}")
            assert refused.value.sqlstate == "LY002"
    finally:
        await owner.close()
