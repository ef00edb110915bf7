"""Events over HTTP: receipts, repetition, refusals, entries, explanations."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.face import PROGRAM, Face, code, hours_ago, serving

SURVEY = '[[rules]]\nid = "survey"\nkind = "event"\npoints = 20\ntype = ["survey"]\nlimit = { per_member_day = 1 }\n'


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with serving(database_url) as url, Face(url) as client:
        await client.program(PROGRAM + SURVEY)
        yield client


def body(event_id: str = "e/1", **fields: Any) -> dict[str, Any]:
    return {"event_id": event_id, "type": "survey", "occurred_at": hours_ago(0)} | fields


async def test_an_event_is_recorded_once(shop: Face) -> None:
    member = await shop.member()
    path = f"/v1/members/{member}/events"
    first = await shop.post(path, json=body(channel="app"))
    assert first.status_code == 201, first.text
    receipt = first.json()
    assert receipt["points_earned"] == receipt["balance"]["available"] == 20
    assert receipt["explain"] == [{"rule": "survey", "points": "20"}]
    again = await shop.post(path, json=body(channel="app"))
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert code(await shop.post(path, json=body()), 409) == "id-conflict"
    (entry,) = (await shop.get(f"/v1/members/{member}/entries")).json()["entries"]
    assert (entry["kind"], entry["event_id"], entry["points"]) == ("earn", "e/1", 20)
    explained = (await shop.get("/v1/events/e%2F1/explain?verify=true&words=staff")).json()
    assert (explained["type"], explained["verified"], explained["points_earned"]) == ("survey", True, 20)
    assert explained["words"][0] == "20 points earned, in tier ordinary."
    assert code(await shop.get("/v1/events/e2/explain"), 404) == "not-found"
    assert code(await shop.get("/v1/events/e%2F1/explain?language=xx"), 400) == "invalid-request"


async def test_events_are_for_shops_and_ops(shop: Face) -> None:
    member = await shop.member()
    for role in ("pos", "eshop", "ops"):
        async with Face(shop.url, await shop.key(role)) as client:
            answer = await client.post(f"/v1/members/{member}/events", json=body(f"e-{role}"))
            assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "two words"},
        {"type": ""},
        {"type": "x" * 65},
        {"event_id": "x" * 129},
        {"event_id": "a b"},
        {"occurred_at": "2026-11-11T12:00:00"},
        {"channel": "a\u0000b"},
        {"points": 5},
    ],
)
async def test_what_means_nothing_is_refused(shop: Face, wrong: dict[str, Any]) -> None:
    member = await shop.member()
    answer = await shop.post(f"/v1/members/{member}/events", json=body(**wrong))
    assert code(answer, 400) == "invalid-request"


async def test_the_future_and_the_unknown_are_refused(shop: Face) -> None:
    member = await shop.member()
    answer = await shop.post(f"/v1/members/{member}/events", json=body(occurred_at=hours_ago(-1)))
    assert code(answer, 422) == "future-time"
    assert code(await shop.post("/v1/members/nobody/events", json=body()), 404) == "unknown-member"
