"""DESIGN.md section 7: who may call what, walked in full; first the key, then the role, then the body."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from tests.e2e.face import Face, code, face, serving

STAFF, SHOPS, ALL, OPS, ADMIN = "pos eshop ops", "pos eshop", "pos eshop ops member", "ops", ""
TABLE = [
    ("POST", "/v1/members", STAFF),
    ("GET", "/v1/members/m", STAFF),
    ("PATCH", "/v1/members/m", STAFF),
    ("GET", "/v1/members", STAFF),
    ("POST", "/v1/members/m/merge", OPS),
    ("DELETE", "/v1/members/m", OPS),
    ("POST", "/v1/purchases", SHOPS),
    ("POST", "/v1/purchases/batch", STAFF),
    ("GET", "/v1/purchases/p", STAFF),
    ("GET", "/v1/purchases/p/explain", STAFF),
    ("GET", "/v1/purchases/batch", STAFF),
    ("POST", "/v1/quotes", SHOPS),
    ("POST", "/v1/purchases/p/returns", SHOPS),
    ("POST", "/v1/purchases/p/returns/quote", SHOPS),
    ("POST", "/v1/returns", SHOPS),
    ("POST", "/v1/redemptions", SHOPS),
    ("POST", "/v1/redemptions/r/capture", STAFF),
    ("POST", "/v1/redemptions/r/release", STAFF),
    ("POST", "/v1/redemptions/r/reverse", STAFF),
    ("GET", "/v1/redemptions/r", STAFF),
    ("GET", "/v1/members/m/balance", ALL),
    ("GET", "/v1/members/m/entries", ALL),
    ("GET", "/v1/members/m/purchases", ALL),
    ("GET", "/v1/members/m/tier", ALL),
    ("POST", "/v1/members/m/adjustments", OPS),
    ("POST", "/v1/members/m/events", STAFF),
    ("GET", "/v1/events/e/explain", STAFF),
    ("POST", "/v1/members/m/tokens", "eshop"),
    ("GET", "/v1/members/m/consents", ALL),
    ("PUT", "/v1/members/m/consents", STAFF),
    ("GET", "/v1/members/m/export", "ops member"),
    ("GET", "/v1/rewards", STAFF),
    ("GET", "/v1/rewards/r", STAFF),
    ("GET", "/v1/members/m/rewards", ALL),
    ("PUT", "/v1/rewards/r", OPS),
    ("POST", "/v1/rewards/r/stock", OPS),
    ("POST", "/v1/rewards/r/claims", SHOPS),
    ("POST", "/v1/claims/c/cancel", STAFF),
    ("GET", "/v1/vouchers/c", STAFF),
    ("POST", "/v1/vouchers/c/use", SHOPS),
    ("GET", "/v1/members/m/vouchers", ALL),
    ("GET", "/v1/program", OPS),
    ("PUT", "/v1/program", OPS),
    ("POST", "/v1/program/check", OPS),
    ("GET", "/v1/program/versions", OPS),
    ("GET", "/v1/program/versions/v", OPS),
    ("GET", "/v1/program/diff", OPS),
    ("POST", "/v1/jobs/expiry", OPS),
    ("POST", "/v1/jobs/tier-review", OPS),
    ("POST", "/v1/jobs/backtest", OPS),
    ("POST", "/v1/jobs/hold-timeouts", OPS),
    ("GET", "/v1/jobs", OPS),
    ("GET", "/v1/jobs/j", OPS),
    ("GET", "/v1/reports/liability", OPS),
    ("GET", "/v1/reports/rewards", OPS),
    ("GET", "/v1/reports/tier-warnings", OPS),
    ("GET", "/v1/keys", ADMIN),
    ("POST", "/v1/keys", ADMIN),
    ("DELETE", "/v1/keys/k", ADMIN),
    ("GET", "/v1/acts", ADMIN),
    ("PUT", "/v1/sandbox/clock", ADMIN),
]
OPEN = ["/health/live", "/health/ready", "/metrics", "/schema", "/schema/openapi.json"]
ROLES = ("pos", "eshop", "ops", "admin")


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url, sandbox=True) as client:
        yield client


async def test_every_role_may_call_what_the_table_says_and_nothing_else(shop: Face) -> None:
    for role in ROLES:
        async with Face(shop.url, await shop.key(role)) as client:
            for method, path, allowed in TABLE:
                status = (await client.request(method, path)).status_code
                wanted = role == "admin" or role in allowed.split()
                assert (status != 403) == wanted, (role, method, path, status)
                assert status not in (401, 405, 500), (role, method, path, status)


async def test_a_members_token_may_call_what_the_table_says_and_only_about_that_member(shop: Face) -> None:
    for member in ("m", "other"):
        await shop.member(member_id=member)
    token = (await shop.post("/v1/members/m/tokens")).json()["token"]
    async with Face(shop.url, token) as client:
        for method, path, allowed in TABLE:
            status = (await client.request(method, path)).status_code
            assert status == (200 if "member" in allowed.split() else 403), (method, path, status)
            for other in ("other", "nobody"):
                others = path.replace("/members/m", f"/members/{other}")
                if others != path:
                    assert code(await client.request(method, others), 403) == "forbidden", (method, others)


async def test_the_table_holds_every_call_that_is_served(shop: Face) -> None:
    document = (await shop.get("/schema/openapi.json")).json()
    served = {
        (method.upper(), re.sub(r"{(.)[^}]*}", r"\1", path))
        for path, item in document["paths"].items()
        for method in item
        if path.startswith("/v1/")
    }
    assert {(method, path) for method, path, _ in TABLE} == served | {("GET", "/v1/purchases/batch")}


async def test_without_a_valid_key_nothing_but_the_open_calls_answers(shop: Face) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
    ):
        async with Face(shop.url) as client:
            client.headers.pop("Authorization")
            for method, path, _ in TABLE:
                answer = await client.request(method, path, headers=headers)
                assert code(answer, 401) == "unauthenticated", (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
            for path in OPEN:
                assert (await client.get(path, headers=headers)).status_code == 200, path


async def test_the_role_is_checked_before_the_body(shop: Face) -> None:
    async with Face(shop.url, await shop.key("ops")) as ops:
        answer = await ops.post("/v1/purchases", content=b"not json", headers={"content-type": "text/plain"})
        assert code(answer, 403) == "forbidden"


async def test_only_ops_change_a_members_status(shop: Face) -> None:
    member = await shop.member()
    async with Face(shop.url, await shop.key("pos")) as pos, Face(shop.url, await shop.key("ops")) as ops:
        assert code(await pos.patch(f"/v1/members/{member}", json={"status": "blocked"}), 403) == "forbidden"
        assert (await pos.patch(f"/v1/members/{member}", json={"name": "Li"})).status_code == 200
        assert (await ops.patch(f"/v1/members/{member}", json={"status": "blocked"})).json()[
            "status"
        ] == "blocked"


async def test_a_key_is_shown_once_kept_as_a_hash_and_revoked_at_once(shop: Face, database_url: str) -> None:
    made = (await shop.post("/v1/keys", json={"role": "pos", "name": "till 3"})).json()
    listed = await shop.get("/v1/keys")
    assert made["key"] not in listed.text
    assert [(one["key_id"], one["name"], one["role"]) for one in listed.json()["keys"]] == [
        (made["key_id"], "till 3", "pos")
    ]
    async with Face(shop.url, made["key"]) as till:
        assert code(await till.get("/v1/members/nobody"), 404) == "unknown-member"
        assert (await shop.delete(f"/v1/keys/{made['key_id']}")).status_code == 204
        assert code(await till.get("/v1/members/nobody"), 401) == "unauthenticated"
    assert (await shop.delete(f"/v1/keys/{made['key_id']}")).status_code == 204
    assert code(await shop.delete("/v1/keys/k-none"), 404) == "not-found"


async def test_a_key_made_or_revoked_elsewhere_counts_here_at_once(shop: Face, database_url: str) -> None:
    async with serving(database_url) as url, Face(url) as other:
        made = (await other.post("/v1/keys", json={"role": "pos", "name": "x"})).json()
        async with Face(shop.url, made["key"]) as till:
            assert (await till.get("/v1/members/nobody")).status_code == 404
            await other.delete(f"/v1/keys/{made['key_id']}")
            assert await _refused_soon(till)


async def _refused_soon(client: Face) -> bool:
    for _ in range(40):
        if (await client.get("/v1/members/nobody")).status_code == 401:
            return True
        await asyncio.sleep(0.05)
    return False
