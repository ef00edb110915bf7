"""POST /v1/jobs/backtest: a report by a job, beside the tills."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from loyalty.backtest import Report
from tests.builders import BASE, program
from tests.e2e.face import Face, code, face

DOUBLE = program(rules=BASE.replace("points = 1", "points = 2"))


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url) as client:
        await client.program(program())
        yield client


async def done(shop: Face, job_id: str) -> dict[str, Any]:
    """The job's answer when it has ended."""
    for _ in range(600):
        job: dict[str, Any] = (await shop.get(f"/v1/jobs/{job_id}")).json()
        if job["status"] in ("done", "failed"):
            return job
        await asyncio.sleep(0.1)
    raise AssertionError("the job did not end")


async def test_a_backtest_reports_what_would_change(shop: Face) -> None:
    member = await shop.member()
    for number in range(3):
        await shop.buy(member, f"p{number}")
    started = await shop.post("/v1/jobs/backtest", json={"program": DOUBLE})
    assert started.status_code == 202
    job = await done(shop, started.json()["job_id"])
    assert (job["status"], job["kind"], job["dry_run"]) == ("done", "backtest", True)
    report = msgspec.convert(job["result"], Report)
    assert (report.now.total.issued, report.candidate.total.issued) == (300, 600)
    assert report.reproduced.checked
    assert report.reproduced.different == job["counts"]["different_accounts"] == 0
    assert (await shop.get(f"/v1/members/{member}/balance")).json()["balance"] == 300


async def test_a_faulty_candidate_is_refused_with_its_diagnostics(shop: Face) -> None:
    answer = await shop.post("/v1/jobs/backtest", json={"program": DOUBLE.replace("per_amount", "per_amont")})
    assert code(answer, 400) == "invalid-request"
    assert answer.json()["diagnostics"]
    for body in (
        {},
        {"program": DOUBLE, "form": "toml"},
        {"program": DOUBLE, "from": "2026-01-01"},
        {"program": DOUBLE, "from": "8000-01-01T00:00:00Z"},
        {"program": DOUBLE, "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"program": DOUBLE.replace("CNY", "EUR")},
    ):
        assert code(await shop.post("/v1/jobs/backtest", json=body), 400) == "invalid-request", body


async def test_the_same_backtest_is_joined_and_another_waits(
    shop: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    async def slow(*_: object, **__: object) -> Report:
        await go_on.wait()
        raise RuntimeError("enough")

    monkeypatch.setattr("loyalty.api.backtests.backtest", slow)
    first = await shop.post("/v1/jobs/backtest", json={"program": DOUBLE})
    same = await shop.post("/v1/jobs/backtest", json={"program": DOUBLE})
    assert first.json() == same.json()
    other = await shop.post("/v1/jobs/backtest", json={"program": program()})
    assert code(other, 503) == "overloaded"
    assert int(other.headers["retry-after"]) > 0
    go_on.set()
    assert (await done(shop, first.json()["job_id"]))["status"] == "failed"
