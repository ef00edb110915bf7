"""What a server tells of itself: figures, the dashboard made of them, traces, and whether it is ready."""

import asyncio
import json
import re
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from loyalty.api import health
from loyalty.engine import batcher
from tests.e2e.collector import collector, spans_of
from tests.e2e.face import ADMIN_KEY, Face, face, purchase
from tests.e2e.test_api_serve import process

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "loyalty.json"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def _look_at_the_shape_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_LOOK_AGAIN_SECONDS", 0.0)


async def _figures(shop: Face) -> dict[str, float]:
    lines = (await shop.get("/metrics")).text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


async def test_every_figure_of_the_dashboard_is_one_that_the_server_gives(database_url: str) -> None:
    board = json.loads(DASHBOARD.read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\bloyalty_\w+", target["expr"])
    }
    async with face(database_url, sandbox=True) as shop:
        await shop.buy(await shop.member(), "p-1")
        await shop.post("/v1/jobs/expiry")
        given: set[str] = set()
        async with asyncio.timeout(20):
            while not any(name.startswith("loyalty_job_done") for name in given):
                await asyncio.sleep(0.2)
                given = {name.partition("{")[0] for name in await _figures(shop)}
    assert asked
    assert asked <= given, asked - given
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    labels = {panel["title"] for panel in board["panels"]}
    assert len(labels) == len(board["panels"])


async def test_the_figures_tell_of_batches_steps_and_what_is_overdue(database_url: str) -> None:
    async with face(database_url, sandbox=True) as shop:
        member = await shop.member()
        before = await _figures(shop)
        await asyncio.gather(*(shop.buy(member, f"p-{number}") for number in range(10)))
        held = {"redemption_id": "h", "member": member, "points": 100, "hold": True, "hold_seconds": 60}
        assert (await shop.post("/v1/redemptions", json=held)).status_code == 201
        later = datetime.now(UTC) + timedelta(hours=1)
        await shop.put("/v1/sandbox/clock", json={"now": later.isoformat()})
        async with asyncio.timeout(20):
            while (now := await _figures(shop))["loyalty_overdue_seconds"] < 3_000:  # noqa: ASYNC110 (asked over HTTP)
                await asyncio.sleep(0.2)
    assert now["loyalty_overdue_seconds"] < 3_700
    assert now["loyalty_batch_requests_sum"] - before.get("loyalty_batch_requests_sum", 0) >= 11
    for step in ("batch", "lock", "post", "commit"):
        assert now[f'loyalty_step_seconds_count{{step="{step}"}}'] > before.get(
            f'loyalty_step_seconds_count{{step="{step}"}}', 0
        ), step
    assert now["loyalty_pool_connections"] >= now["loyalty_pool_idle_connections"] > 0
    assert now["loyalty_queue_requests"] == 0


async def test_traces_go_where_the_endpoint_says_without_personal_data(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as (endpoint, bodies):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        async with process(database_url) as (server, url), Face(url) as client:
            await client.member(phone="+8613800000077", name="Han Meimei")
            answer = await client.post(
                "/v1/purchases",
                json=purchase("phone:+8613800000077", "p-1"),
                headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
            )
            assert answer.status_code == 201
            assert answer.headers["x-request-id"] == TRACE
            await client.get("/v1/members/phone:+8613800000077/balance")
            server.terminate()
            await server.wait()
    raw = b"".join(bodies)
    assert b"138000" not in raw
    assert b"Han" not in raw
    assert ADMIN_KEY.encode() not in raw
    spans = spans_of(bodies)
    ours = {span.name: span for span in spans if span.trace_id.hex() == TRACE}
    assert set(ours) == {"POST /v1/purchases", "batch", "lock", "post", "commit"}
    assert ours["POST /v1/purchases"].parent_span_id.hex() == "00f067aa0ba902b7"
    assert ours["batch"].parent_span_id == ours["POST /v1/purchases"].span_id
    for name in ("lock", "post", "commit"):
        assert ours[name].parent_span_id == ours["batch"].span_id
    assert any(span.name == "GET /v1/members/{member}/balance" for span in spans)


async def test_a_step_that_fails_says_what_kind_of_error_it_was_and_no_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres' messages name rows and values."""
    with collector() as (endpoint, bodies):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        async with process(database_url) as (server, url), Face(url) as client:
            await client.member(member_id="li")
            owner = await asyncpg.connect(database_url)
            async with owner.transaction():
                await owner.fetch("select 1 from loyalty.account for update")
                assert (await client.post("/v1/purchases", json=purchase("li", "p-1"))).status_code == 503
            await owner.close()
            server.terminate()
            await server.wait()
    spans = spans_of(bodies)
    (failed,) = [span for span in spans if span.name == "lock" and span.status.code == 2]  # ERROR
    assert [(one.key, one.value.string_value) for one in failed.attributes if one.key != "accounts"] == [
        ("error.type", "LockNotAvailableError")
    ]
    assert failed.status.message == ""
    assert not any(span.events for span in spans)


async def test_without_an_endpoint_no_spans_are_made_nor_their_code_imported(database_url: str) -> None:
    script = (
        "import sys; from loyalty.api.app import create_app; from loyalty.settings import Settings;"
        f"create_app(Settings(database_url={database_url!r}));"
        "sys.exit('opentelemetry.sdk.trace' in sys.modules or 'opentelemetry.exporter' in sys.modules)"
    )
    ran = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await ran.wait() == 0


async def test_an_endpoint_that_is_gone_holds_up_neither_requests_nor_the_stop(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    async with process(database_url) as (server, url), Face(url) as client:
        await client.buy(await client.member(), "p-1")
        server.terminate()
        await asyncio.wait_for(server.wait(), 20)


async def test_a_server_that_was_asked_to_stop_says_so_and_serves_on_for_a_while(database_url: str) -> None:
    async with process(database_url, drain_seconds="3") as (server, url), Face(url) as client:
        assert (await client.get("/health/ready")).status_code == 200
        member = await client.member()
        server.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        async with Face(url) as fresh:  # a new connection: the port is still open
            answer = await fresh.get("/health/ready")
            assert answer.status_code == 503
            assert answer.json()["reasons"] == ["the server was asked to stop"]
            await fresh.buy(member, "p-1")
        assert server.returncode is None
        assert await asyncio.wait_for(server.wait(), 30) in (0, -signal.SIGTERM)


async def test_readiness_names_a_queue_that_is_full(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with face(database_url) as shop:
        assert (await shop.get("/health/ready")).status_code == 200
        monkeypatch.setattr(batcher, "QUEUE", 0)
        answer = await shop.get("/health/ready")
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["the queue of requests is full"])


async def test_readiness_names_migrations_that_are_pending_and_a_database_that_is_newer(
    database_url: str,
) -> None:
    owner = await asyncpg.connect(database_url)
    async with face(database_url) as shop:
        await owner.execute(
            "insert into loyalty.migration (name, digest) values ('migrations/9999_later.sql', 'x')"
        )
        answer = await shop.get("/health/ready")
        assert answer.status_code == 200, "the old version serves on beside the new one"
        assert "made by a newer one" in answer.json()["reasons"][0]
        await owner.execute("delete from loyalty.migration where name like '%9999%'")
        kept = await owner.fetchrow(
            "delete from loyalty.migration where name = (select max(name) from loyalty.migration"
            " where name like 'migrations/%') returning name, digest"
        )
        answer = await shop.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == [f"not migrated: {kept['name']}"]
        await owner.execute("insert into loyalty.migration (name, digest) values ($1, $2)", *kept)
        assert (await shop.get("/health/ready")).json() == {"status": "ready", "reasons": []}
    await owner.close()
