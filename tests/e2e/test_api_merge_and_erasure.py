"""DESIGN.md section 4, Merging and Erasure, and section 7's calls for them, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from loyalty.audit.run import audit
from tests.e2e.face import Face, code, face, hours_ago


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url) as client:
        yield client


async def balance(shop: Face, member: str) -> dict[str, Any]:
    answer = await shop.get(f"/v1/members/{member}/balance")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def two(shop: Face) -> None:
    await shop.member(member_id="old", phone="+8613800000001", birthday="1990-05-01")
    await shop.member(member_id="new", card="8800", name="Li Lei")
    await shop.buy("old", "p-old", 30_000)
    await shop.buy("new", "p-new", 20_000)
    held = {"redemption_id": "h", "member": "old", "points": 100, "hold": True}
    assert (await shop.post("/v1/redemptions", json=held)).status_code == 201


async def test_everything_passes_to_the_other_member(shop: Face, database_url: str) -> None:
    await two(shop)
    answer = await shop.post("/v1/members/old/merge", json={"into": "card:8800"})
    assert answer.status_code == 200, answer.text
    stays = answer.json()
    assert stays["member_id"] == "new"
    assert (stays["name"], stays["birthday"]) == ("Li Lei", "1990-05-01")
    assert set(stays["identifiers"]) == {"phone:+8613800000001", "card:8800"}
    for name in ("new", "old", "phone:+8613800000001", "card:8800"):
        found = await balance(shop, name)
        assert (found["member_id"], found["balance"], found["available"], found["held"]) == (
            "new",
            500,
            400,
            100,
        )
    ended = await shop.post("/v1/redemptions/h/capture", json={"points": 40})
    assert ended.status_code == 200, ended.text
    assert (await shop.get("/v1/redemptions/h")).json()["points"] == 40
    back = await shop.post(
        "/v1/purchases/p-old/returns", json={"return_id": "r", "occurred_at": hours_ago(0.5)}
    )
    assert back.json()["points_clawed_back"] == 300
    assert (await balance(shop, "new"))["balance"] == 160
    listed = (await shop.get("/v1/members/new/purchases")).json()["purchases"]
    assert {bought["purchase_id"] for bought in listed} == {"p-old", "p-new"}
    assert (await shop.get("/v1/members/new/tier")).json()["qualifying"]["spend_amount"] == 20_000
    audited = await audit(database_url, processes=1)
    assert audited.clean, audited.rows


async def test_the_old_record_is_shown_with_where_it_went(shop: Face) -> None:
    await two(shop)
    await shop.post("/v1/members/old/merge", json={"into": "new"})
    old = (await shop.get("/v1/members/old")).json()
    assert (old["member_id"], old["merged_into"]) == ("old", "new")
    entries = (await shop.get("/v1/members/old/entries")).json()
    assert entries["merged_into"] == "new"
    assert [entry["kind"] for entry in entries["entries"]] == ["merge", "earn"]
    assert entries["entries"][0]["balance_after"] == 0


async def test_the_same_merge_again_is_fine_and_never_a_cycle(shop: Face) -> None:
    await two(shop)
    await shop.member(member_id="third")
    first = await shop.post("/v1/members/old/merge", json={"into": "new"})
    again = await shop.post("/v1/members/old/merge", json={"into": "new"})
    assert (again.status_code, again.json()) == (200, first.json())
    assert code(await shop.post("/v1/members/old/merge", json={"into": "third"}), 409) == "merge-conflict"
    assert code(await shop.post("/v1/members/new/merge", json={"into": "old"}), 409) == "merge-conflict"
    assert code(await shop.post("/v1/members/new/merge", json={"into": "new"}), 409) == "merge-conflict"
    assert code(await shop.post("/v1/members/nobody/merge", json={"into": "new"}), 404) == "unknown-member"
    chained = await shop.post("/v1/members/new/merge", json={"into": "third"})
    assert chained.json()["member_id"] == "third"
    assert (await balance(shop, "old"))["member_id"] == "third"
    assert (await shop.get("/v1/members/old")).json()["merged_into"] == "third"


async def test_a_block_is_not_got_rid_of_by_a_merge(shop: Face) -> None:
    await two(shop)
    await shop.patch("/v1/members/old", json={"status": "blocked"})
    await shop.post("/v1/members/old/merge", json={"into": "new"})
    wanted = {"redemption_id": "r", "member": "new", "points": 10}
    assert code(await shop.post("/v1/redemptions", json=wanted), 422) == "member-blocked"


async def test_erasure_forgets_the_person_and_keeps_the_books(shop: Face, database_url: str) -> None:
    await two(shop)
    assert (await shop.delete("/v1/members/old")).status_code == 204
    for call in (shop.get("/v1/members/old"), shop.get("/v1/members/phone:+8613800000001/balance")):
        assert code(await call, 404) == "unknown-member"
    assert code(await shop.delete("/v1/members/old"), 404) == "unknown-member"
    assert code(await shop.post("/v1/redemptions/h/capture", json={}), 409) == "hold-ended"
    late = {"return_id": "r", "occurred_at": hours_ago(0.5)}
    back = await shop.post("/v1/purchases/p-old/returns", json=late)
    assert back.status_code == 201, back.text
    assert back.json()["refund_amount"] == 30_000
    assert (back.json()["balance"]["balance"], back.json()["debt_added"]) == (0, 0)
    assert (await shop.get("/v1/reports/liability")).json()["outstanding"] == 200
    audited = await audit(database_url, processes=1)
    assert audited.clean, audited.rows


async def test_a_recorded_decision_is_made_again(shop: Face) -> None:
    await two(shop)
    told = (await shop.get("/v1/purchases/p-old/explain?verify=true")).json()
    assert told["verified"] is True
    assert told["explain"] == [{"rule": "base", "points": "300", "line": 1}]
    assert "verified" not in (await shop.get("/v1/purchases/p-old/explain")).json()
