"""DESIGN.md section 7: each call does what its line says."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loyalty.api import examples
from tests.e2e.face import PROGRAM, Face, code, face, hours_ago, purchase


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url) as client:
        yield client


async def test_a_purchase_repeated_gets_the_same_bytes(shop: Face) -> None:
    member = await shop.member(phone="+8613800000001")
    body = purchase(member, "POS-17/2026:0042", 12_345)
    first = await shop.post("/v1/purchases", json=body)
    assert first.status_code == 201
    assert first.json()["points_earned"] == 123
    assert "idempotent-replayed" not in first.headers
    again = await shop.post(
        "/v1/purchases", json=body | {"member": "phone:+8613800000001", "kind": "purchase"}
    )
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    batch = (await shop.post("/v1/purchases/batch", json=[body | {"kind": "purchase"}])).json()
    assert batch["results"][0]["status"] == "replayed"
    assert batch["results"][0]["receipt"] == first.json()


async def test_an_id_with_a_slash_is_read_percent_encoded(shop: Face) -> None:
    member = await shop.member()
    await shop.buy(member, "POS-17/2026:0042")
    answer = await shop.get("/v1/purchases/POS-17%2F2026:0042")
    assert answer.json()["purchase_id"] == "POS-17/2026:0042"
    assert answer.json()["explain"]
    back = {"return_id": "b/1", "occurred_at": hours_ago(0.5)}
    assert (await shop.post("/v1/purchases/POS-17%2f2026:0042/returns", json=back)).status_code == 201
    assert [
        one["return_id"] for one in (await shop.get("/v1/purchases/POS-17%2F2026:0042")).json()["returns"]
    ] == ["b/1"]
    await shop.buy(member, "batch")
    assert (await shop.get("/v1/purchases/batch")).json()["purchase_id"] == "batch"


async def test_a_fraction_of_a_unit_is_kept_exactly(shop: Face) -> None:
    member = await shop.member()
    await shop.buy(member, "p-1", lines=[{"sku": "a", "amount": 999, "quantity": 1.1}])
    answer = await shop.get("/v1/purchases/p-1")
    assert '"quantity":1.1' in answer.text


async def test_quotes_write_nothing(shop: Face) -> None:
    member = await shop.member()
    quote = await shop.post("/v1/quotes", json=purchase(member, "p-1", 10_000))
    assert quote.status_code == 200
    assert (quote.json()["points_earned"], quote.json()["max_points"]) == (100, 0)
    assert code(await shop.get("/v1/purchases/p-1"), 404) == "unknown-purchase"
    await shop.buy(member, "p-1")
    back = {"return_id": "b-1", "occurred_at": hours_ago(0.5)}
    quoted = await shop.post("/v1/purchases/p-1/returns/quote", json=back)
    assert (quoted.status_code, quoted.json()["points_clawed_back"]) == (200, 100)
    assert (await shop.get(f"/v1/members/{member}/balance")).json()["balance"] == 100


async def test_a_full_return_nets_to_zero(shop: Face) -> None:
    member = await shop.member()
    await shop.buy(member, "p-1", 9_999)
    back = {"return_id": "b-1", "occurred_at": hours_ago(0.5)}
    first = await shop.post("/v1/purchases/p-1/returns", json=back)
    assert first.status_code == 201
    assert (first.json()["points_clawed_back"], first.json()["refund_amount"]) == (99, 9_999)
    again = await shop.post("/v1/purchases/p-1/returns", json=back)
    assert (again.status_code, again.content) == (200, first.content)
    assert (await shop.get(f"/v1/members/{member}/balance")).json()["balance"] == 0


async def test_a_return_without_a_known_purchase_is_judged_by_the_base_rules(shop: Face) -> None:
    member = await shop.member()
    await shop.buy(member, "p-1", 10_000)
    back = {
        "return_id": "b-1",
        "member": member,
        "occurred_at": hours_ago(0.5),
        "lines": [{"sku": "x", "amount": 500}],
    }
    answer = await shop.post("/v1/returns", json=back)
    assert (answer.status_code, answer.json()["points_clawed_back"]) == (201, 5)
    assert "purchase_id" not in answer.json()


async def test_points_are_redeemed_held_captured_and_reversed(shop: Face) -> None:
    member = await shop.member()
    await shop.buy(member, "p-1", 100_000)
    paid = {"redemption_id": "r/1", "member": member, "amount": 300}
    first = await shop.post("/v1/redemptions", json=paid)
    assert (first.status_code, first.json()["points"], first.json()["status"]) == (201, 300, "captured")
    assert (await shop.post("/v1/redemptions", json=paid)).content == first.content
    held = await shop.post(
        "/v1/redemptions", json={"redemption_id": "r-2", "member": member, "points": 200, "hold": True}
    )
    assert (held.json()["status"], held.json()["balance"]["held"]) == ("held", 200)
    assert held.json()["until"].endswith("Z")
    captured = await shop.post("/v1/redemptions/r-2/capture", json={"points": 150})
    assert captured.status_code == 200
    assert captured.json()["balance"] == {
        "balance": 550,
        "available": 550,
        "held": 0,
        "pending": 0,
        "debt": 0,
    }
    part = await shop.post("/v1/redemptions/r%2F1/reverse", json={"points": 100, "reversal_id": "v-1"})
    assert part.json()["balance"]["available"] == 650
    rest = await shop.post("/v1/redemptions/r%2F1/reverse")
    assert rest.json()["balance"]["available"] == 850
    assert (await shop.get("/v1/redemptions/r-2")).json()["status"] == "captured"


async def test_the_balance_shows_lots_and_the_entries_come_newest_first(shop: Face) -> None:
    member = await shop.member()
    for number in range(3):
        await shop.buy(member, f"p-{number}", 10_000 * (number + 1))
    balance = (await shop.get(f"/v1/members/{member}/balance")).json()
    assert (balance["balance"], balance["available"], balance["amount"], balance["tier"]) == (
        600,
        600,
        600,
        "ordinary",
    )
    assert sorted(lot["points"] for lot in balance["lots"]) == [100, 200, 300]
    page = (await shop.get(f"/v1/members/{member}/entries?limit=2")).json()
    assert [(one["seq"], one["points"], one["balance_after"]) for one in page["entries"]] == [
        (3, 300, 600),
        (2, 200, 300),
    ]
    rest = (await shop.get(f"/v1/members/{member}/entries?limit=2&cursor={page['next_cursor']}")).json()
    assert [one["seq"] for one in rest["entries"]] == [1]
    assert rest["next_cursor"] is None
    bought = (await shop.get(f"/v1/members/{member}/purchases?limit=2")).json()
    assert len(bought["purchases"]) == 2
    assert bought["next_cursor"] is not None


async def test_the_tier_is_reached_by_the_purchase_and_shown_everywhere(shop: Face) -> None:
    member = await shop.member()
    tier = (await shop.get(f"/v1/members/{member}/tier")).json()
    assert (tier["tier"], tier["next"]["tier"], tier["next"]["spend_amount"]) == (
        "ordinary",
        "silver",
        500_000,
    )
    receipt = await shop.buy(member, "p-1", 500_000)
    assert receipt["tier"] == {"tier": "silver", "previous": "ordinary"}
    assert (await shop.get(f"/v1/members/{member}")).json()["tier"] == "silver"
    assert (await shop.get(f"/v1/members/{member}/tier")).json()["next"] is None


async def test_an_adjustment_adds_and_takes_with_a_reason(shop: Face) -> None:
    member = await shop.member()
    path = f"/v1/members/{member}/adjustments"
    added = await shop.post(path, json={"adjustment_id": "a-1", "points": 50, "reason": "parcel came late"})
    assert (added.status_code, added.json()["balance"]["balance"]) == (201, 50)
    again = await shop.post(path, json={"adjustment_id": "a-1", "points": 50, "reason": "parcel came late"})
    assert (again.status_code, again.content) == (200, added.content)
    taken = await shop.post(path, json={"adjustment_id": "a-2", "points": -20, "reason": "mistyped"})
    assert taken.json()["balance"]["balance"] == 30


async def test_the_program_in_force_is_read_and_replaced(shop: Face) -> None:
    answer = (await shop.get("/v1/program")).json()
    assert (answer["name"], answer["source"], answer["format"]) == ("Test Club", PROGRAM, "toml")
    member = await shop.member()
    await shop.buy(member, "p-1")
    doubled = PROGRAM.replace("points = 1\n", "points = 2\n")
    put = await shop.put(
        "/v1/program?note=double", content=doubled, headers={"content-type": "application/toml"}
    )
    assert (put.status_code, put.json()["version"]) == (200, answer["version"] + 1)
    assert (await shop.get("/v1/program")).json()["version"] == put.json()["version"]
    back = await shop.put(
        f"/v1/program?effective_from={hours_ago(1).replace('+', '%2B')}",
        content=doubled,
        headers={"content-type": "application/toml"},
    )
    assert code(back, 400) == "invalid-request"


@pytest.mark.parametrize("kind", ["expiry", "tier-review"])
async def test_a_job_runs_beside_and_tells_how_far_it_is(shop: Face, kind: str) -> None:
    started = await shop.post(f"/v1/jobs/{kind}", json={"dry_run": True})
    assert started.status_code == 202
    job: dict[str, Any] = {}
    for _ in range(100):
        job = (await shop.get(f"/v1/jobs/{started.json()['job_id']}")).json()
        if job["status"] == "done":
            break
        await asyncio.sleep(0.05)
    assert (job["status"], job["progress"], job["dry_run"], job["kind"]) == ("done", 1.0, True, kind)


async def test_one_job_of_a_kind_at_a_time_and_a_dead_one_does_not_block(
    shop: Face, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncpg

    go_on = asyncio.Event()

    async def slow(*_: object) -> dict[str, int]:
        await go_on.wait()
        return {"accounts": 7}

    monkeypatch.setattr("loyalty.engine.engine.Engine.expire", slow)
    started = [await shop.post("/v1/jobs/expiry") for _ in range(3)]
    assert len({one.json()["job_id"] for one in started}) == 1
    go_on.set()
    job_id = started[0].json()["job_id"]
    job: dict[str, Any] = {}
    for _ in range(100):
        job = (await shop.get(f"/v1/jobs/{job_id}")).json()
        if job["status"] == "done":
            break
        await asyncio.sleep(0.02)
    assert job["counts"] == {"accounts": 7}
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "insert into loyalty.job (job_id, kind, status, through, dry_run, updated_at)"
        " values ('j-dead', 'expiry', 'running', now(), false, now() - interval '2 minutes')"
    )
    await connection.close()
    assert (await shop.get("/v1/jobs/j-dead")).json()["status"] == "failed"
    assert (await shop.post("/v1/jobs/expiry")).json()["job_id"] not in (job_id, "j-dead")


async def test_the_liability_report_adds_up(shop: Face) -> None:
    member = await shop.member()
    await shop.buy(member, "p-1", 12_300)
    report = (await shop.get("/v1/reports/liability")).json()
    assert (report["outstanding"], report["amount"], report["issued"]) == (123, 123, 123)
    assert sum(part["points"] for part in report["by_tier"]) == 123
    assert report["proven"] is True


async def test_an_upload_answers_item_by_item_in_order(shop: Face) -> None:
    member = await shop.member()
    items = [
        purchase(member, "p-1", 10_000) | {"kind": "purchase"},
        {"kind": "return", "return_id": "b-1", "purchase_id": "p-1", "occurred_at": hours_ago(0.5)},
        {"kind": "return", "return_id": "b-1", "purchase_id": "p-1", "occurred_at": hours_ago(0.5)},
        purchase(member, "p-2", 10_000) | {"kind": "purchase"},
        {"kind": "return", "return_id": "b-2", "member": member, "occurred_at": hours_ago(0.5),
         "lines": [{"sku": "x", "amount": 1_000}]},
    ]  # fmt: skip
    array = (await shop.post("/v1/purchases/batch", json=items)).json()
    assert [one["status"] for one in array["results"]] == [
        "created",
        "created",
        "replayed",
        "created",
        "created",
    ]
    assert [one["id"] for one in array["results"]] == ["p-1", "b-1", "b-1", "p-2", "b-2"]
    assert array["results"][1]["receipt"]["points_clawed_back"] == 100
    assert array["counts"] == {"created": 4, "replayed": 1, "refused": 0}
    lines = "\n".join(json.dumps(item) for item in items).encode()
    again = await shop.post(
        "/v1/purchases/batch", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    assert again.json()["counts"] == {"created": 0, "replayed": 5, "refused": 0}
    assert (await shop.get(f"/v1/members/{member}/balance")).json()["balance"] == 90


async def test_the_figures_name_routes_and_no_ids(shop: Face) -> None:
    member = await shop.member(phone="+8613800000077")
    await shop.get(f"/v1/members/{member}")
    await shop.get("/v1/members/phone:+8613800000077")
    figures = (await shop.get("/metrics")).text
    assert 'loyalty_http_requests_total{method="GET",route="/v1/members/{member}",status="200"}' in figures
    assert member not in figures
    assert "8613800000077" not in figures


async def test_a_request_id_goes_in_and_out(shop: Face) -> None:
    answer = await shop.get("/health/live", headers={"x-request-id": "till-3/77"})
    assert answer.headers["x-request-id"] == "till-3/77"
    made_up = (await shop.get("/v1/nothing", headers={"x-request-id": "no spaces"})).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", made_up)


async def test_the_document_is_whole_and_its_page_needs_no_internet(shop: Face) -> None:
    document = (await shop.get("/schema/openapi.json")).json()
    text = json.dumps(document)
    defined = document["components"]["schemas"].keys()
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) <= defined
    assert r"\\A" not in text
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert any(status.startswith("2") for status in operation["responses"]), (method, path)
            if path.startswith("/v1/"):
                assert {"401", "403", "500"} <= operation["responses"].keys(), (method, path)
            if method in ("post", "put", "patch"):
                assert "requestBody" in operation, (method, path)
    page = (await shop.get("/schema")).text
    assert "http" not in page.replace("http-equiv", "")
    for asset in re.findall(r'(?:src|href)="(/[^"]+)"', page):
        assert (await shop.get(asset)).status_code == 200, asset


async def test_the_examples_of_the_document_work(shop: Face) -> None:
    document = (await shop.get("/schema/openapi.json")).json()

    def example(path: str) -> Any:
        return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]

    now = {"occurred_at": hours_ago(1)}
    assert (await shop.post("/v1/members", json=example("/v1/members"))).status_code == 201
    bought = example("/v1/purchases") | now
    assert (await shop.post("/v1/purchases", json=bought)).status_code == 201
    shown = examples.PURCHASE.purchase_id.replace("/", "%2F")
    back = example("/v1/purchases/{purchase_id}/returns") | now
    assert (await shop.post(f"/v1/purchases/{shown}/returns", json=back)).status_code == 201
    assert (await shop.post("/v1/returns", json=example("/v1/returns") | now)).status_code == 201
    assert (await shop.post("/v1/redemptions", json=example("/v1/redemptions"))).status_code == 201
    member = examples.ADJUSTMENT.member
    adjusted = await shop.post(
        f"/v1/members/{member}/adjustments", json=example("/v1/members/{member}/adjustments")
    )
    assert adjusted.status_code == 201
