"""Jobs over HTTP: what runs by itself with the sandbox's clock, what ops start, and the history of both."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from tests.e2e.face import Face, code, face

NEVER_BY_ITSELF = {"sandbox": True, "schedule": "off"}


async def _ended(shop: Face, job_id: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            job: dict[str, Any] = (await shop.get(f"/v1/jobs/{job_id}")).json()
            if job["status"] not in ("queued", "running"):
                return job
            await asyncio.sleep(0.05)


async def _listed(shop: Face, **query: Any) -> list[dict[str, Any]]:
    answer = await shop.get("/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["jobs"])


async def test_the_schedule_follows_the_sandboxs_clock(database_url: str) -> None:
    schedule = "expiry=03:00,hold-timeouts=5m"
    async with face(database_url, sandbox=True, schedule=schedule, log_level="critical") as shop:
        member = await shop.member()
        await shop.buy(member, "p-1")
        held = {"redemption_id": "h-1", "member": member, "points": 40, "hold": True, "hold_seconds": 60}
        assert (await shop.post("/v1/redemptions", json=held)).status_code == 201
        later = datetime.now(UTC) + timedelta(days=2)
        assert (await shop.put("/v1/sandbox/clock", json={"now": later.isoformat()})).status_code == 200
        async with asyncio.timeout(20):
            while not any(job["counts"].get("holds_timed_out") for job in await _listed(shop)):  # noqa: ASYNC110 (over HTTP)
                await asyncio.sleep(0.1)
        ran = await _listed(shop, kind="expiry")
        assert {datetime.fromisoformat(job["slot"]).astimezone(UTC).hour for job in ran} == {19}, (
            "03:00 there"
        )
        assert await _listed(shop, kind="tier-review") == []


async def test_ops_time_out_holds_by_hand_and_see_what_came_of_it(database_url: str) -> None:
    async with face(database_url, **NEVER_BY_ITSELF) as shop:
        member = await shop.member()
        await shop.buy(member, "p-1")
        held = {"redemption_id": "h-1", "member": member, "points": 40, "hold": True, "hold_seconds": 60}
        assert (await shop.post("/v1/redemptions", json=held)).status_code == 201
        later = datetime.now(UTC) + timedelta(hours=1)
        await shop.put("/v1/sandbox/clock", json={"now": later.isoformat()})
        started = await shop.post("/v1/jobs/hold-timeouts")
        assert started.status_code == 202
        job = await _ended(shop, started.json()["job_id"])
        assert (job["status"], job["counts"]["holds_timed_out"], job["slot"]) == ("done", 1, None)
        future = {"through": (later + timedelta(days=1)).isoformat()}
        assert code(await shop.post("/v1/jobs/hold-timeouts", json=future), 422) == "future-time"


async def test_a_job_that_cannot_be_written_down_as_an_act_is_not_started(database_url: str) -> None:
    async with face(database_url, log_level="critical", **NEVER_BY_ITSELF) as shop:
        owner = await asyncpg.connect(database_url)
        try:
            await owner.execute("set search_path = loyalty")
            await owner.execute(
                "alter table act add constraint never check (what <> 'job.started') not valid"
            )
            assert (await shop.post("/v1/jobs/expiry")).status_code == 500
            assert await _listed(shop) == []
            await owner.execute("alter table act drop constraint never")
        finally:
            await owner.close()
        job = (await shop.post("/v1/jobs/expiry")).json()["job_id"]
        newest = (await shop.get("/v1/acts?limit=1")).json()["acts"][0]
        assert (newest["what"], newest["target"]) == ("job.started", job)


async def test_the_history_is_paged_newest_first_and_by_kind(database_url: str) -> None:
    async with face(database_url, **NEVER_BY_ITSELF) as shop:
        made = []
        for kind in ("expiry", "tier-review", "hold-timeouts", "expiry", "expiry"):
            job_id = (await shop.post(f"/v1/jobs/{kind}", json={"dry_run": True})).json()["job_id"]
            await _ended(shop, job_id)
            made.append(job_id)
        assert [job["job_id"] for job in await _listed(shop)] == made[::-1]
        assert [job["job_id"] for job in await _listed(shop, kind="expiry")] == [made[4], made[3], made[0]]
        seen, cursor = [], None
        while True:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await shop.get("/v1/jobs", params=query)).json()
            seen += [job["job_id"] for job in page["jobs"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == made[::-1]
        assert code(await shop.get("/v1/jobs?cursor=j-none"), 400) == "invalid-request"
        assert code(await shop.get("/v1/jobs?kind=sweeping"), 400) == "invalid-request"
