"""DESIGN.md section 5: bad input gets a clear problem, never a stack trace, never half an effect."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.face import Face, code, face, hours_ago, purchase

JSON = {"content-type": "application/json"}
BIG = 2**53


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url) as client:
        await client.member(member_id="m-1")
        yield client
        left = (await client.get("/v1/members/m-1/balance")).json()
        assert left["balance"] == 0, "bad input had an effect"


def _line(**fields: Any) -> dict[str, Any]:
    return purchase("m-1", "p-1", lines=[{"sku": "a", "amount": 1} | fields])


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param(purchase("m-1", "p-1", colour="red"), "colour", id="unknown field"),
        pytest.param(_line(colour="red"), "lines[0].colour", id="unknown field of a line"),
        pytest.param(_line(amount="1"), "lines[0].amount", id="text for a number"),
        pytest.param(_line(amount=1.0), "lines[0].amount", id="fraction for an integer"),
        pytest.param(_line(amount=True), "lines[0].amount", id="truth for a number"),
        pytest.param(_line(amount=None), "lines[0].amount", id="null for a number"),
        pytest.param(_line(quantity="1"), "quantity", id="text for a quantity"),
        pytest.param(_line(sku=7), "lines[0].sku", id="number for text"),
        pytest.param(purchase("m-1", "p-1", lines={}), "lines", id="object for a list"),
        pytest.param(purchase("m-1", "p-1", lines=[]), "lines", id="empty basket"),
        pytest.param({"purchase_id": "p-1"}, "member", id="missing field"),
        pytest.param(_line(amount=-1), "lines[0].amount", id="negative amount"),
        pytest.param(_line(quantity=-1), "lines[0].quantity", id="negative quantity"),
        pytest.param(_line(amount=BIG + 1), "lines[0].amount", id="amount beyond 2^53"),
        pytest.param(
            purchase("m-1", "p-1", lines=[{"sku": "a", "amount": BIG}, {"sku": "b", "amount": 1}]),
            "lines",
            id="total beyond 2^53",
        ),
        pytest.param(_line(quantity=10**30), "lines[0].quantity", id="huge quantity"),
        pytest.param(_line(quantity=0.12345678), "lines[0].quantity", id="too many places"),
        pytest.param(
            purchase("m-1", "p-1", occurred_at="2026-01-01T00:00:00"), "occurred_at", id="time without offset"
        ),
        pytest.param(purchase("m-1", "p-1", occurred_at="2026-01-01"), "occurred_at", id="a day for a time"),
        pytest.param(
            purchase("m-1", "p-1", occurred_at="0001-01-01T00:00:00+14:00"), "occurred_at", id="before all years"
        ),
        pytest.param(_line(sku="a\u0000b"), "lines[0].sku", id="zero character"),
        pytest.param(_line(sku="a\u001bb"), "lines[0].sku", id="control character"),
        pytest.param(_line(tags=["x", "a\u0085b"]), "lines[0].tags[1]", id="C1 control character"),
        pytest.param(purchase("m-1", "p 1"), "purchase_id", id="id with a space"),
        pytest.param(purchase("m-1", ""), "purchase_id", id="empty id"),
        pytest.param(purchase("m-1", "x" * 129), "purchase_id", id="id too long"),
        pytest.param(purchase("m-1", "p-1\n"), "purchase_id", id="id with a line break"),
        pytest.param(purchase("m 1", "p-1"), "member", id="member_id of wrong shape"),
        pytest.param(purchase("phone:138", "p-1"), "member", id="phone of wrong shape"),
        pytest.param(purchase("fax:+861", "p-1"), "member", id="unknown scheme"),
        pytest.param(
            purchase("m-1", "p-1", lines=[{"sku": "a", "amount": 1, "line": 1}, {"sku": "b", "amount": 1, "line": 1}]),
            "lines[1].line",
            id="a line number twice",
        ),
        pytest.param(
            purchase("m-1", "p-1", redemption={"redemption_id": "r", "points": 1, "amount": 1}),
            "redemption.points",
            id="points and amount",
        ),
    ],
)  # fmt: skip
async def test_a_purchase_that_means_nothing_is_refused_with_its_path(
    shop: Face, body: dict[str, Any], path: str
) -> None:
    answer = await shop.post("/v1/purchases", json=body)
    assert code(answer, 400) == "invalid-request"
    assert path in [error["path"] for error in answer.json()["errors"]]
    assert all(error["message"] for error in answer.json()["errors"])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{'a': 1}", id="not JSON"),
        pytest.param(b"\xff\xfe{}", id="not UTF-8"),
        pytest.param(json.dumps(_line()).replace('"a"', '"\udcff"').encode("utf-8", "surrogateescape"), id="bad UTF-8"),
        pytest.param(json.dumps(_line()).replace('"a"', '"\\ud800"').encode(), id="half a surrogate"),
        pytest.param(json.dumps(_line()).replace('"amount": 1', '"amount": NaN').encode(), id="NaN"),
        pytest.param(json.dumps(_line(quantity=1.5)).replace("1.5", "Infinity").encode(), id="infinity"),
        pytest.param(json.dumps(_line(quantity=1.5)).replace("1.5", "1e999999").encode(), id="huge exponent"),
        pytest.param(json.dumps(_line(quantity=1.5)).replace("1.5", '"NaN"').encode(), id="NaN in quotes"),
        pytest.param(json.dumps(_line()).replace('"amount": 1', '"amount": ' + "9" * 5000).encode(), id="huge number"),
        pytest.param(b"[" * 500_000, id="deep lists"),
        pytest.param(b'{"kind":' * 100_000, id="deep objects"),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_json_is_refused(shop: Face, body: bytes) -> None:
    assert code(await shop.post("/v1/purchases", content=body, headers=JSON), 400) == "invalid-request"


async def test_an_unknown_member_is_told(shop: Face) -> None:
    answer = await shop.post("/v1/purchases", json=purchase("m-2", "p-1"))
    assert code(answer, 404) == "unknown-member"
    assert code(await shop.get("/v1/members/phone:+8613800000009/balance"), 404) == "unknown-member"


async def test_the_future_begins_five_minutes_ahead(shop: Face) -> None:
    late = (datetime.now(UTC) + timedelta(minutes=6)).isoformat()
    assert (
        code(await shop.post("/v1/purchases", json=purchase("m-1", "p-1", occurred_at=late)), 422)
        == "future-time"
    )
    soon = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    answer = await shop.post("/v1/purchases", json=purchase("m-1", "p-1", 0, occurred_at=soon))
    assert answer.status_code == 201


async def test_a_body_past_one_megabyte_is_too_large_announced_or_not(shop: Face) -> None:
    assert (
        code(await shop.post("/v1/purchases", content=b" " * (2**20 + 1), headers=JSON), 413) == "too-large"
    )

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(33):
            yield b" " * 2**15

    assert code(await shop.post("/v1/purchases", content=chunks(), headers=JSON), 413) == "too-large"


async def test_a_batch_past_32_megabytes_is_too_large(shop: Face) -> None:
    body = b" " * (32 * 2**20 + 1)
    assert code(await shop.post("/v1/purchases/batch", content=body, headers=JSON), 413) == "too-large"
    assert (
        await shop.post("/v1/purchases/batch", content=b"[]" + b" " * 2**21, headers=JSON)
    ).status_code == 200


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/json; charset=gbk", ""])
async def test_a_wrong_content_type_is_told(shop: Face, media: str) -> None:
    body = json.dumps(purchase("m-1", "p-1")).encode()
    answer = await shop.post("/v1/purchases", content=body, headers={"content-type": media})
    assert code(answer, 415) == "unsupported-media-type"


async def test_a_compressed_body_is_told(shop: Face) -> None:
    answer = await shop.post("/v1/purchases", content=b"x", headers=JSON | {"content-encoding": "gzip"})
    assert code(answer, 415) == "unsupported-media-type"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/members/a%00b",
        "/v1/members/a%0Ab/balance",
        "/v1/members/%ff",
        "/v1/purchases/a%20b",
        "/v1/redemptions/ü",
    ],
)
async def test_a_path_of_wrong_shape_is_refused(shop: Face, path: str) -> None:
    assert code(await shop.get(path), 400) == "invalid-request"


@pytest.mark.parametrize(
    "query",
    ["as_off=2026-01-01T00:00:00Z", "as_of=yesterday", "as_of=2026-01-01T00:00:00", "as_of=0001-01-01T00:00:00%2B14:00",
     "as_of=2026-01-01T00:00:00Z&as_of=2026-01-02T00:00:00Z", "as_of=%ff"],
)  # fmt: skip
async def test_a_query_of_wrong_shape_is_refused(shop: Face, query: str) -> None:
    assert code(await shop.get(f"/v1/members/m-1/balance?{query}"), 400) == "invalid-request"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=%00", "cursor=zz", "cursor=-1"])
@pytest.mark.parametrize("call", ["entries", "purchases"])
async def test_a_page_of_wrong_shape_is_refused(shop: Face, call: str, query: str) -> None:
    assert code(await shop.get(f"/v1/members/m-1/{call}?{query}"), 400) == "invalid-request"


async def test_an_unknown_sku_matches_no_rule_and_is_fine(shop: Face) -> None:
    body = purchase("m-1", "p-1", lines=[{"sku": "灯-no such thing", "amount": 0}])
    assert (await shop.post("/v1/purchases", json=body)).status_code == 201


async def test_a_quantity_of_zero_with_an_amount_is_kept(shop: Face) -> None:
    body = purchase("m-1", "p-1", lines=[{"sku": "a", "amount": 99, "quantity": 0}])
    assert (await shop.post("/v1/purchases", json=body)).status_code == 201
    (line,) = (await shop.get("/v1/purchases/p-1")).json()["lines"]
    assert (line["quantity"], line["amount"]) == (0, 99)


async def test_a_bad_item_of_a_batch_does_not_spoil_the_others(shop: Face) -> None:
    items = [
        purchase("m-1", "p-1", 0) | {"kind": "purchase"},
        {"kind": "purchase"},
        7,
        purchase("m-1", "p-2", -5) | {"kind": "purchase"},
        purchase("nobody", "p-3") | {"kind": "purchase"},
        purchase("m-1", "p-4", 0) | {"kind": "gift"},
        purchase("m-1", "p-5", 0),
        purchase("m-1", "p-6", 0) | {"kind": "purchase"},
    ]
    answer = (await shop.post("/v1/purchases/batch", json=items)).json()
    assert [one["index"] for one in answer["results"]] == list(range(8))
    assert [one["status"] for one in answer["results"]] == ["created"] + ["refused"] * 6 + ["created"]
    assert [one["id"] for one in answer["results"]] == ["p-1", None, None, "p-2", "p-3", "p-4", "p-5", "p-6"]
    codes = [one["problem"]["code"] for one in answer["results"] if "problem" in one]
    assert codes == ["invalid-request"] * 3 + ["unknown-member"] + ["invalid-request"] * 2
    assert answer["counts"] == {"created": 2, "replayed": 0, "refused": 6}


async def test_an_item_says_what_it_is_however_that_is_spelt(shop: Face) -> None:
    item = json.dumps(purchase("nobody", "p-1"))[1:]
    lines = ['{"\\u006bind": "purchase", ' + item, "{" + item, "{" + item.replace("LAMP-1", '\\"kind\\"')]
    answer = await shop.post(
        "/v1/purchases/batch", content="\n".join(lines), headers={"content-type": "application/x-ndjson"}
    )
    problems = [one["problem"] for one in answer.json()["results"]]
    assert [one["code"] for one in problems] == ["unknown-member", "invalid-request", "invalid-request"]
    assert problems[2]["errors"][0]["path"] == "kind"


async def test_a_wrong_type_in_one_item_of_a_batch_does_not_spoil_the_others(shop: Face) -> None:
    items = [purchase("m-1", f"p-{number}", 0) | {"kind": "purchase"} for number in range(3)]
    items[1]["lines"] = [{"sku": "A", "amount": 100, "quantity": "two"}]
    quoted = [
        purchase("m-1", "p-9", 100)
        | {"kind": "purchase", "lines": [{"sku": "A", "amount": 1, "quantity": "2"}]}
    ]
    results = (await shop.post("/v1/purchases/batch", json=items + quoted)).json()["results"]
    assert [one["status"] for one in results] == ["created", "refused", "created", "refused"]
    assert all("quantity" in one["problem"]["detail"] for one in results if "problem" in one)


async def test_a_malformed_line_is_a_refused_item(shop: Face) -> None:
    good = json.dumps(purchase("m-1", "p-1", 0) | {"kind": "purchase"})
    body = f"{good}\r\n\n{{broken\n[[[\n{good}".encode()
    answer = await shop.post(
        "/v1/purchases/batch", content=body, headers={"content-type": "application/x-ndjson"}
    )
    assert [one["status"] for one in answer.json()["results"]] == [
        "created",
        "refused",
        "refused",
        "replayed",
    ]


async def test_a_batch_holds_ten_thousand_items_at_most(shop: Face) -> None:
    body = b"[" + b",".join([b"0"] * 10_001) + b"]"
    assert code(await shop.post("/v1/purchases/batch", content=body, headers=JSON), 413) == "too-large"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/redemptions", {"redemption_id": "r", "member": "m-1"}),
        ("/v1/redemptions", {"redemption_id": "r", "member": "m-1", "points": 1, "amount": 1}),
        ("/v1/redemptions", {"redemption_id": "r", "member": "m-1", "points": 0}),
        ("/v1/redemptions", {"redemption_id": "r", "member": "m-1", "points": -5}),
        ("/v1/redemptions", {"redemption_id": "r", "member": "m-1", "points": 1, "hold_seconds": 0}),
        ("/v1/redemptions/r/reverse", {"points": 5}),
        ("/v1/redemptions/r/capture", {"points": 0}),
        ("/v1/redemptions/r/release", {"points": 1}),
        ("/v1/members/m-1/adjustments", {"adjustment_id": "a", "points": 0, "reason": "x"}),
        ("/v1/members/m-1/adjustments", {"adjustment_id": "a", "points": 1, "reason": ""}),
        ("/v1/members/m-1/adjustments", {"adjustment_id": "a", "points": 1, "reason": "a\u0007"}),
        ("/v1/purchases/p/returns", {"return_id": "r", "occurred_at": hours_ago(1), "lines": []}),
        ("/v1/returns", {"return_id": "r", "member": "m-1", "occurred_at": hours_ago(1), "lines": []}),
        ("/v1/members", {"phone": "13800000001"}),
        ("/v1/members", {"email": "nobody"}),
        ("/v1/members", {"name": "a\u0000"}),
        ("/v1/members", {"birthday": "2026-02-30"}),
        ("/v1/members", {"birthday": "2999-01-01"}),
        ("/v1/members", {"member_id": "m 2"}),
        ("/v1/keys", {"role": "member", "name": "x"}),
        ("/v1/keys", {"role": "pos", "name": ""}),
        ("/v1/jobs/expiry", {"through": "2026-01-01"}),
    ],
)
async def test_other_calls_refuse_what_means_nothing(shop: Face, path: str, body: dict[str, Any]) -> None:
    assert code(await shop.post(path, json=body), 400) == "invalid-request"
