"""DESIGN.md section 7, members: enrolling, reading, finding and changing them."""

import re
from collections.abc import AsyncIterator

import pytest

from tests.e2e.face import Face, code, face


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url) as client:
        yield client


async def test_enrolling_makes_up_a_readable_id_and_answers_the_member(shop: Face) -> None:
    body = {
        "phone": "+8613800000001",
        "email": "Li@Example.cn",
        "name": "李雷",
        "birthday": "1990-02-28",
        "channel": "pos",
    }
    answer = await shop.post("/v1/members", json=body)
    assert answer.status_code == 201
    member = answer.json()
    assert re.fullmatch(r"m-[a-z0-9]{11}", member["member_id"])
    assert member["identifiers"] == ["phone:+8613800000001", "email:li@example.cn"]
    assert (member["name"], member["birthday"]) == ("李雷", "1990-02-28")
    assert (member["tier"], member["status"]) == ("ordinary", "active")
    assert member["enrolled_at"].endswith("Z")
    assert "merged_into" not in member


async def test_enrolling_again_with_equal_content_is_the_member_read_again(shop: Face) -> None:
    body = {"phone": "+8613800000001", "enrolled_at": "2025-01-01T08:00:00+08:00"}
    first = (await shop.post("/v1/members", json=body)).json()
    assert first["enrolled_at"] == "2025-01-01T00:00:00Z"
    await shop.patch(f"/v1/members/{first['member_id']}", json={"name": "Li Lei"})
    again = await shop.post("/v1/members", json=body | {"enrolled_at": "2025-01-01T00:00:00Z"})
    assert again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first | {"name": "Li Lei"}


async def test_a_member_is_found_by_every_name(shop: Face) -> None:
    names = {"phone": "+8613800000001", "card": "8800123456", "email": "a@b.cn", "ext": "shop/4711"}
    member = await shop.member(member_id="m-1", **names)
    for reference in ("m-1", "phone:+8613800000001", "card:8800123456", "email:A@B.CN", "ext:shop%2F4711"):
        assert (await shop.get(f"/v1/members/{reference}")).json()["member_id"] == member
        assert (await shop.get(f"/v1/members/{reference}/balance")).json()["member_id"] == member
    for query in ("phone=%2B8613800000001", "card=8800123456", "email=A%40b.cn", "ext=shop/4711"):
        (found,) = (await shop.get(f"/v1/members?{query}")).json()["members"]
        assert found["member_id"] == member
    assert (await shop.get("/v1/members?card=8800123456&phone=%2B8613800000002")).json()["members"] == []


async def test_the_search_goes_on_behind_its_cursor(shop: Face) -> None:
    made = [
        await shop.member(name=name)
        for name in ("Wang Fang", "WANG FANG", "wang fang", "Wang fang", "Wang Fang")
    ]
    await shop.member(name="Wang")
    found: list[str] = []
    cursor = ""
    while True:
        page = (await shop.get(f"/v1/members?name=wang%20fang&limit=2{cursor}")).json()
        found += [member["member_id"] for member in page["members"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == made
    assert (await shop.get("/v1/members?name=%25")).json()["members"] == []


async def test_a_change_keeps_what_is_left_out_and_null_takes_away(shop: Face) -> None:
    member = await shop.member(phone="+8613800000001", name="Li", birthday="1990-01-01")
    answer = await shop.patch(f"/v1/members/{member}", json={"card": "88001", "birthday": None})
    assert answer.json()["identifiers"] == ["phone:+8613800000001", "card:88001"]
    assert (answer.json()["name"], answer.json()["birthday"]) == ("Li", None)
    answer = await shop.patch(f"/v1/members/{member}", json={"phone": None, "card": "88002"})
    assert answer.json()["identifiers"] == ["card:88002"]
    assert code(await shop.get("/v1/members/phone:+8613800000001"), 404) == "unknown-member"
    assert (await shop.post("/v1/members", json={"phone": "+8613800000001"})).status_code == 201
