"""Rewards over HTTP: the catalogue by ops, claims and vouchers at the tills, each status and problem."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.face import Face, code, face, hours_ago

LAMP = {"name": "Desk lamp", "kind": "gift", "points": 300}


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    """Ada with 1000 points, and one lamp in stock."""
    async with face(database_url) as client:
        await client.member(member_id="ada", phone="+8613800000001")
        await client.buy("ada", "p-0", 100_000)
        assert (await client.put("/v1/rewards/lamp", json=LAMP)).status_code == 201
        delivered = await client.post("/v1/rewards/lamp/stock", json={"stock_id": "s-1", "units": 1})
        assert delivered.status_code == 201
        yield client


async def test_a_reward_from_the_catalogue_to_the_till(shop: Face) -> None:
    offered = (await shop.get("/v1/members/phone:+8613800000001/rewards")).json()
    assert offered == {
        "rewards": [
            {"reward_id": "lamp", "version": 1, "terms": LAMP, "stock": 1, "open": True, "affordable": True}
        ]
    }
    body = {"claim_id": "c-1", "member": "ada"}
    claimed = await shop.post("/v1/rewards/lamp/claims", json=body)
    again = await shop.post("/v1/rewards/lamp/claims", json=body)
    assert (claimed.status_code, again.status_code) == (201, 200)
    assert (again.content, again.headers["idempotent-replayed"]) == (claimed.content, "true")
    voucher = claimed.json()["voucher"]["code"]
    (mine,) = (await shop.get("/v1/members/ada/vouchers")).json()["vouchers"]
    assert mine == (await shop.get(f"/v1/vouchers/{voucher}")).json()
    assert (mine["status"], mine["member_id"], mine["points"], mine["claim_id"]) == (
        "open",
        "ada",
        300,
        "c-1",
    )
    use = {"use_id": "u-1", "purchase_id": "p-9"}
    used = await shop.post(f"/v1/vouchers/{voucher}/use", json=use)
    twice = await shop.post(f"/v1/vouchers/{voucher.lower()}/use", json=use)
    assert (used.status_code, twice.status_code, twice.content) == (201, 200, used.content)
    assert twice.headers["idempotent-replayed"] == "true"
    assert code(await shop.post(f"/v1/vouchers/{voucher}/use", json={"use_id": "u-2"}), 409) == "voucher-used"
    assert code(await shop.post("/v1/claims/c-1/cancel"), 409) == "voucher-used"
    entries = (await shop.get("/v1/members/ada/entries")).json()["entries"]
    assert [(one["kind"], one["points"], one.get("claim_id")) for one in entries] == [
        ("redeem", -300, "c-1"),
        ("earn", 1000, None),
    ]
    assert (await shop.get("/v1/reports/liability")).json()["redeemed"] == 300


async def test_a_claim_is_cancelled_once_and_the_unit_is_there_again(shop: Face) -> None:
    claimed = await shop.post("/v1/rewards/lamp/claims", json={"claim_id": "c-1", "member": "ada"})
    assert (await shop.get("/v1/rewards/lamp")).json()["stock"] == 0
    assert (await shop.get("/v1/members/ada/rewards")).json() == {"rewards": []}
    first, again = [await shop.post("/v1/claims/c-1/cancel") for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert first.json()["balance"]["available"] == 1000
    assert (await shop.get("/v1/rewards/lamp")).json()["stock"] == 1
    voucher = claimed.json()["voucher"]["code"]
    answer = await shop.post(f"/v1/vouchers/{voucher}/use", json={"use_id": "u-1"})
    assert code(answer, 409) == "voucher-cancelled"


async def test_each_problem_has_its_code(shop: Face) -> None:
    async def claim(reward: str, **body: str) -> tuple[int, str]:
        sent = {"claim_id": "c", "member": "ada"} | body
        answer = await shop.post(f"/v1/rewards/{reward}/claims", json=sent)
        return answer.status_code, answer.json()["code"]

    for reward, terms in {
        "silver": {**LAMP, "tiers": ["silver"]},
        "over": {**LAMP, "until": "2020-01-01"},
        "dear": {**LAMP, "points": 5000, "unlimited": True},
        "none": LAMP,
    }.items():
        assert (await shop.put(f"/v1/rewards/{reward}", json=terms)).status_code == 201
    assert await claim("silver") == (422, "reward-not-for-tier")
    assert await claim("over") == (422, "reward-not-available")
    assert await claim("dear") == (422, "insufficient-points")
    assert await claim("none") == (422, "out-of-stock")
    assert await claim("nothing") == (404, "unknown-reward")
    assert await claim("lamp", member="bob") == (404, "unknown-member")
    assert await claim("lamp", claim_id="no good") == (400, "invalid-request")
    assert await claim("no good") == (400, "invalid-request")
    await shop.patch("/v1/members/ada", json={"status": "blocked"})
    assert await claim("lamp") == (422, "member-blocked")
    assert code(await shop.get("/v1/rewards/nothing"), 404) == "unknown-reward"
    assert code(await shop.get("/v1/vouchers/none"), 404) == "unknown-voucher"
    assert code(await shop.post("/v1/claims/c-none/cancel"), 404) == "unknown-claim"
    stock = await shop.post("/v1/rewards/lamp/stock", json={"stock_id": "s-2", "units": -2})
    assert code(stock, 422) == "out-of-stock"
    again = await shop.post("/v1/rewards/lamp/stock", json={"stock_id": "s-1", "units": 2})
    assert code(again, 409) == "id-conflict"
    assert (await shop.get("/v1/members/ada/balance")).json()["available"] == 1000


async def test_a_voucher_of_a_member_who_was_blocked_since_is_paid_for_and_used(shop: Face) -> None:
    await shop.post("/v1/rewards/lamp/stock", json={"stock_id": "s-2", "units": 1})
    for claim in ("c-1", "c-2"):
        answer = await shop.post("/v1/rewards/lamp/claims", json={"claim_id": claim, "member": "ada"})
        assert answer.status_code == 201
    vouchers = (await shop.get("/v1/members/ada/vouchers")).json()["vouchers"]
    codes = {one["claim_id"]: one["code"] for one in vouchers}
    await shop.patch("/v1/members/ada", json={"status": "blocked"})
    used = await shop.post(f"/v1/vouchers/{codes['c-1']}/use", json={"use_id": "u-1"})
    assert used.status_code == 201
    assert (await shop.post("/v1/claims/c-2/cancel")).status_code == 200
    stopped = await shop.post(f"/v1/vouchers/{codes['c-2']}/use", json={"use_id": "u-2"})
    assert code(stopped, 409) == "voucher-cancelled"


async def test_terms_are_put_once_and_mistakes_are_told(shop: Face) -> None:
    same = await shop.put("/v1/rewards/lamp", json=LAMP)
    changed = {**LAMP, "points": 200, "from": "2026-01-01", "until": "2099-01-01"}
    other = await shop.put("/v1/rewards/lamp", json=changed)
    assert (same.status_code, same.json()["version"], other.json()["version"]) == (200, 1, 2)
    assert other.json()["terms"]["until"] == "2099-01-01"
    for wrong, path in (
        ({**LAMP, "points": 0}, "points"),
        ({**LAMP, "kind": "money"}, "kind"),
        ({**LAMP, "amount": 5}, "amount"),
        ({**LAMP, "tiers": ["gold"]}, "tiers[0]"),
        ({**LAMP, "colour": "red"}, "colour"),
    ):
        answer = await shop.put("/v1/rewards/lamp", json=wrong)
        assert code(answer, 400) == "invalid-request"
        assert answer.json()["errors"][0]["path"] == path


async def test_the_report_says_what_became_of_each_claim(shop: Face) -> None:
    ten_off = {"name": "Ten off", "kind": "cash", "points": 100, "amount": 1000, "unlimited": True}
    assert (await shop.put("/v1/rewards/ten-off", json=ten_off)).status_code == 201
    codes = []
    for number in range(3):
        body = {"claim_id": f"c-{number}", "member": "ada"}
        codes.append((await shop.post("/v1/rewards/ten-off/claims", json=body)).json()["voucher"]["code"])
    dearer = {**ten_off, "points": 200, "amount": 2500}
    assert (await shop.put("/v1/rewards/ten-off", json=dearer)).status_code == 200
    body = {"claim_id": "c-3", "member": "ada"}
    codes.append((await shop.post("/v1/rewards/ten-off/claims", json=body)).json()["voucher"]["code"])
    for code_ in (codes[0], codes[3]):
        await shop.post(f"/v1/vouchers/{code_}/use", json={"use_id": f"u-{code_}"})
    await shop.post("/v1/claims/c-1/cancel")
    report = (await shop.get("/v1/reports/rewards")).json()
    lamp, cash = report["rewards"]
    nothing = {"claims": 0, "open": 0, "used": 0, "cancelled": 0, "expired": 0, "points": 0, "amount": 0}
    assert lamp == {"reward_id": "lamp", "name": "Desk lamp", "kind": "gift", "stock": 1} | nothing
    assert cash == {
        "reward_id": "ten-off", "name": "Ten off", "kind": "cash", "stock": None,
        "claims": 4, "open": 1, "used": 2, "cancelled": 1, "expired": 0, "points": 400, "amount": 3500,
    }  # fmt: skip
    assert cash["points"] == (await shop.get("/v1/reports/liability")).json()["redeemed"]
    for bound, claims in (("from", 0), ("until", 4)):
        asked = {bound: report["as_of"]}
        found = (await shop.get("/v1/reports/rewards", params=asked)).json()
        assert (found[bound], found["rewards"][1]["claims"]) == (report["as_of"], claims)
    assert code(await shop.get("/v1/reports/rewards?from=2026-01-01"), 400) == "invalid-request"


async def test_the_report_counts_vouchers_that_are_over(database_url: str) -> None:
    async with face(database_url, sandbox=True) as shop:
        await shop.member(member_id="ada")
        await shop.buy("ada", "p-0", 100_000)
        terms = {**LAMP, "unlimited": True, "valid_days": 1}
        await shop.put("/v1/rewards/lamp", json=terms)
        await shop.post("/v1/rewards/lamp/claims", json={"claim_id": "c-1", "member": "ada"})
        await shop.put("/v1/sandbox/clock", json={"now": hours_ago(-72)})
        (lamp,) = (await shop.get("/v1/reports/rewards")).json()["rewards"]
        assert (lamp["claims"], lamp["open"], lamp["expired"], lamp["points"]) == (1, 0, 1, 300)
