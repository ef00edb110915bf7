"""A member's token reads that member's own data and nothing else; consents, export, and what is left after erasure."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loyalty.audit import audit
from loyalty.members.token import PREFIX, Token, write_token
from tests.e2e.face import Face, code, face, hours_ago
from tests.vault import VAULT

OWN = ("balance", "entries", "purchases", "tier", "consents", "export")


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url, sandbox=True) as client:
        yield client


async def _token(shop: Face, member: str, **body: Any) -> str:
    answer = await shop.post(f"/v1/members/{member}/tokens", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def _statuses(client: Face, member: str) -> set[int]:
    return {(await client.get(f"/v1/members/{member}/{what}")).status_code for what in OWN}


async def test_a_token_opens_the_members_own_data_alone(shop: Face) -> None:
    await shop.member(member_id="li", phone="+8613800000001")
    await shop.member(member_id="wang", phone="+8613800000002")
    await shop.buy("li", "p-1")
    async with Face(shop.url, await _token(shop, "phone:+8613800000001")) as li:
        assert await _statuses(li, "li") == {200}
        told = [
            (await li.get(f"/v1/members/{other}/balance")).json()
            for other in ("wang", "nobody", "phone:+8613800000001", "phone:+8613800000002", "phone:+861", "!")
        ]
        # One answer, whoever it is and whether there is anybody.
        assert [problem["code"] for problem in told] == ["forbidden"] * len(told)
        assert len({problem["detail"] for problem in told}) == 1
        assert code(await li.get("/v1/members/li"), 403) == "forbidden"
        assert code(await li.put("/v1/members/li/consents", json={}), 403) == "forbidden"
        assert code(await li.post("/v1/members/li/tokens"), 403) == "forbidden"


async def test_a_token_ends(shop: Face) -> None:
    await shop.member(member_id="li")
    made = (await shop.post("/v1/members/li/tokens", json={"seconds": 60})).json()
    assert made["member_id"] == "li"
    ended = write_token(VAULT.keys[0], Token("li", "env", int(time.time()) - 1))
    async with Face(shop.url, ended) as li:
        assert code(await li.get("/v1/members/li/balance"), 401) == "unauthenticated"
    for seconds in (59, 3601, "60"):
        answer = await shop.post("/v1/members/li/tokens", json={"seconds": seconds})
        assert code(answer, 400) == "invalid-request"
    assert code(await shop.post("/v1/members/nobody/tokens"), 404) == "unknown-member"


async def test_what_we_did_not_write_is_no_token(shop: Face) -> None:
    await shop.member(member_id="li", name='["li","env",9999999999]')
    good = await _token(shop, "li")
    sealed = VAULT.keys[0].seal('["li","env",9999999999]')  # what a thief finds in the database
    forged = write_token(_Sealing(sealed), Token("li", "env", 2**40))  # type: ignore[arg-type]  # as if one
    flipped = good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:]
    for wrong in (forged, flipped, good[:20], PREFIX, PREFIX + "é", PREFIX + "AAAA", good.upper()):
        headers = [(b"authorization", f"Bearer {wrong}".encode())]
        answer = await shop.get("/v1/members/li/balance", headers=headers)
        assert code(answer, 401) == "unauthenticated", wrong


class _Sealing:
    """Gives what was sealed as personal data for a token."""

    def __init__(self, sealed: bytes) -> None:
        self._sealed = sealed

    def seal_token(self, _content: bytes) -> bytes:
        return self._sealed


async def test_a_token_ends_with_the_key_that_made_it(shop: Face) -> None:
    await shop.member(member_id="li")
    made = (await shop.post("/v1/keys", json={"role": "eshop", "name": "shop"})).json()
    async with Face(shop.url, made["key"]) as eshop, Face(shop.url, await _token(eshop, "li")) as li:
        assert (await li.get("/v1/members/li/balance")).status_code == 200
        await shop.delete(f"/v1/keys/{made['key_id']}")
        assert code(await li.get("/v1/members/li/balance"), 401) == "unauthenticated"


async def test_a_token_outlives_a_merge_and_a_block_but_not_an_erasure(shop: Face) -> None:
    for member in ("old", "new"):
        await shop.member(member_id=member)
        await shop.buy(member, f"p-{member}")
    async with Face(shop.url, await _token(shop, "old")) as old:
        await shop.post("/v1/members/old/merge", json={"into": "new"})
        assert await _statuses(old, "old") == {200}
        assert (await old.get("/v1/members/old/balance")).json()["balance"] == 200
        assert (await old.get("/v1/members/new/balance")).status_code == 403
        await shop.patch("/v1/members/new", json={"status": "blocked"})
        assert await _statuses(old, "old") == {200}
        await shop.delete("/v1/members/new")
        assert await _statuses(old, "old") == {404}
        assert code(await old.get("/v1/members/old/balance"), 404) == "unknown-member"


async def test_consents_keep_their_history(shop: Face) -> None:
    await shop.member(member_id="li", phone="+8613800000001")
    path = "/v1/members/phone:+8613800000001/consents"
    first = {"purpose": "newsletter", "granted": True, "at": "2026-01-05T10:00:00+08:00", "source": "till-7"}
    assert (await shop.put(path, json=first)).status_code == 200
    assert (await shop.put(path, json=first)).status_code == 200
    await shop.put(path, json={"purpose": "newsletter", "granted": False})
    await shop.put(path, json={"purpose": "newsletter", "granted": False})
    assert (await shop.put(path, json=first)).status_code == 200  # a repeat that comes late says nothing new
    await shop.put(path, json={"purpose": "profiling", "granted": True})
    found = (await shop.get("/v1/members/li/consents")).json()
    assert [(one["purpose"], one["granted"]) for one in found["consents"]] == [
        ("newsletter", False), ("profiling", True),
    ]  # fmt: skip
    assert [(one["granted"], one["source"]) for one in found["history"]] == [
        (True, "till-7"), (False, None), (True, None),
    ]  # fmt: skip
    for wrong in (
        {"purpose": "News letter", "granted": True},
        {"purpose": "a"},
        {"purpose": "a", "granted": True, "source": "Li Lei said so"},
        {"purpose": "a", "granted": True, "at": "2026-01-05T10:00:00"},
        {"purpose": "a", "granted": True, "at": "0001-01-01T00:00:00+08:00"},
    ):
        assert code(await shop.put(path, json=wrong), 400) == "invalid-request", wrong
    late = {"purpose": "a", "granted": True, "at": "2999-01-01T00:00:00Z"}
    assert code(await shop.put(path, json=late), 422) == "future-time"
    assert code(await shop.get("/v1/members/nobody/consents"), 404) == "unknown-member"


async def test_consents_of_both_hold_after_a_merge_the_last_said_first(shop: Face) -> None:
    await shop.member(member_id="old")
    await shop.member(member_id="new")
    said = {"purpose": "newsletter", "at": "2026-02-01T00:00:00Z", "granted": False}
    await shop.put("/v1/members/old/consents", json=said)
    await shop.put("/v1/members/new/consents", json=said | {"at": "2026-01-01T00:00:00Z", "granted": True})
    await shop.post("/v1/members/old/merge", json={"into": "new"})
    found = (await shop.get("/v1/members/new/consents")).json()
    assert [one["granted"] for one in found["consents"]] == [False]
    assert len(found["history"]) == 2


async def test_the_export_holds_all_that_is_recorded_of_a_member(shop: Face) -> None:
    person = {"phone": "+8613800000001", "email": "li@b.cn", "name": "Li Lei", "birthday": "1990-05-01"}
    await shop.member(member_id="li", **person)
    await shop.member(member_id="old")
    await shop.buy("old", "p-0")
    await shop.post("/v1/members/old/merge", json={"into": "li"})
    await shop.put("/v1/members/li/consents", json={"purpose": "newsletter", "granted": True})
    await shop.buy("li", "p-1", 50_000)
    await shop.post("/v1/redemptions", json={"redemption_id": "r-1", "member": "li", "points": 100})
    await shop.post("/v1/purchases/p-1/returns", json={"return_id": "b-1", "occurred_at": hours_ago(0)})
    await shop.post(
        "/v1/members/li/events",
        json={"event_id": "e-1", "type": "survey", "occurred_at": hours_ago(0)},
    )
    async with Face(shop.url, await shop.key("ops")) as ops:
        found = (await ops.get("/v1/members/phone:+8613800000001/export")).json()
    assert found["member"]["name"] == "Li Lei"
    assert found["member"]["identifiers"] == ["phone:+8613800000001", "email:li@b.cn"]
    assert [one["purpose"] for one in found["consents"]["history"]] == ["newsletter"]
    bought = {one["purchase"]["purchase_id"]: one["points_earned"] for one in found["purchases"]}
    assert bought == {"p-0": 100, "p-1": 500}
    assert found["purchases"][1]["purchase"]["lines"][0]["sku"] == "LAMP-1"
    assert [one["linked"]["return_id"] for one in found["returns"]] == ["b-1"]
    assert [one["event"]["event_id"] for one in found["events"]] == ["e-1"]
    assert [one["redemption_id"] for one in found["redemptions"]] == ["r-1"]
    assert found["tier"]["tier"] == "ordinary"
    assert sum(one["points"] for one in found["entries"]) == found["balance"]["balance"]
    assert [one["member_id"] for one in found["merged"]] == ["old"]
    assert {one["kind"] for one in found["merged"][0]["entries"]} == {"earn", "merge"}


async def test_erasure_leaves_nothing_personal_and_a_sound_ledger(shop: Face, database_url: str) -> None:
    person = {"phone": "+8613800000001", "email": "li@b.cn", "name": "Li Lei", "birthday": "1990-05-01"}
    await shop.member(member_id="li", **person)
    await shop.member(member_id="old", card="8800123456")
    for member in ("old", "li"):
        await shop.put(f"/v1/members/{member}/consents", json={"purpose": "newsletter", "granted": True})
        await shop.buy(member, f"p-{member}")
    await shop.post("/v1/members/old/merge", json={"into": "li"})
    await shop.delete("/v1/members/li")
    for reference in ("li", "old", "phone:+8613800000001", "card:8800123456"):
        for what in OWN:
            answer = await shop.get(f"/v1/members/{reference}/{what}")
            assert code(answer, 404) == "unknown-member", (reference, what)
    assert (await shop.get("/v1/members?name=li%20lei")).json()["members"] == []
    left = await _rows(database_url, "identifier", "person", "consent")
    assert left == {"identifier": 0, "person": 0, "consent": 0}
    assert (await audit(database_url, processes=1)).rows == []
    # The phone is free for whoever comes next; the old id is not.
    await shop.member(phone="+8613800000001")
    assert code(await shop.post("/v1/members", json={"member_id": "li"}), 409) == "member-exists"


async def _rows(database_url: str, *tables: str) -> dict[str, int]:
    import asyncpg

    connection = await asyncpg.connect(database_url)
    try:
        return {table: await connection.fetchval(f"select count(*) from loyalty.{table}") for table in tables}
    finally:
        await connection.close()
