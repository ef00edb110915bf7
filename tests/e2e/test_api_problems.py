"""DESIGN.md section 8: every code with its status, and the facts that it carries."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from loyalty.api.problems import STATUS
from loyalty.errors import LoyaltyError
from tests.e2e.face import PROGRAM, Face, code, face, hours_ago, purchase, serving


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url, sandbox=True) as client:
        await client.member(member_id="m-1", phone="+8613800000001")
        yield client


def test_every_error_has_a_status() -> None:
    def below(kind: type[LoyaltyError]) -> set[type[LoyaltyError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    ours = {kind for kind in below(LoyaltyError) - {LoyaltyError} if kind.__module__.startswith("loyalty.")}
    assert ours
    assert not ours - set(STATUS)
    codes = [kind.code for kind in STATUS]
    assert len(codes) == len(set(codes))


async def test_unknown_paths_and_methods_are_told(shop: Face) -> None:
    assert code(await shop.get("/v1/nothing"), 404) == "not-found"
    assert code(await shop.get("/nothing"), 404) == "not-found"
    assert code(await shop.get("/v1/jobs/j-none"), 404) == "not-found"
    assert code(await shop.put("/v1/members"), 405) == "method-not-allowed"
    assert code(await shop.delete("/v1/program"), 405) == "method-not-allowed"


async def test_unknown_things_have_codes_of_their_own(shop: Face) -> None:
    assert code(await shop.get("/v1/members/m-none"), 404) == "unknown-member"
    assert code(await shop.get("/v1/purchases/p-none"), 404) == "unknown-purchase"
    assert code(await shop.get("/v1/redemptions/r-none"), 404) == "unknown-redemption"
    back = {"return_id": "r-1", "occurred_at": hours_ago(0.5)}
    assert code(await shop.post("/v1/purchases/p-none/returns", json=back), 404) == "unknown-purchase"
    assert code(await shop.post("/v1/redemptions/r-none/capture"), 404) == "unknown-redemption"


async def test_an_id_used_for_something_else_is_a_conflict(shop: Face) -> None:
    await shop.buy("m-1", "p-1", 10_000)
    assert code(await shop.post("/v1/purchases", json=purchase("m-1", "p-1", 20_000)), 409) == "id-conflict"
    assert (await shop.get("/v1/members/m-1/balance")).json()["balance"] == 100


async def test_a_member_or_identifier_that_exists_is_told_without_telling_whose(shop: Face) -> None:
    answer = await shop.post("/v1/members", json={"phone": "+8613800000001", "name": "Han Meimei"})
    assert code(answer, 409) == "member-exists"
    assert "m-1" not in answer.text
    assert "GET /v1/members/phone:… reads, PATCH changes" in answer.json()["detail"]
    answer = await shop.post("/v1/members", json={"member_id": "m-1"})
    assert code(answer, 409) == "member-exists"
    assert "use another member_id" in answer.json()["detail"]
    other = await shop.member(card="8800123456")
    answer = await shop.patch(f"/v1/members/{other}", json={"phone": "+8613800000001"})
    assert code(answer, 409) == "member-exists"
    assert "have ops merge them" in answer.json()["detail"]


async def test_a_hold_ends_once(shop: Face) -> None:
    await shop.buy("m-1", "p-1", 100_000)
    held = {"redemption_id": "r-1", "member": "m-1", "points": 100, "hold": True}
    assert (await shop.post("/v1/redemptions", json=held)).status_code == 201
    first = await shop.post("/v1/redemptions/r-1/release")
    again = await shop.post("/v1/redemptions/r-1/release")
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert code(await shop.post("/v1/redemptions/r-1/capture"), 409) == "hold-ended"


async def test_missing_points_are_counted(shop: Face) -> None:
    await shop.buy("m-1", "p-1", 15_000)
    asked = {"redemption_id": "r-1", "member": "m-1", "points": 200}
    answer = await shop.post("/v1/redemptions", json=asked)
    assert code(answer, 422) == "insufficient-points"
    assert (answer.json()["available"], answer.json()["missing"]) == (150, 50)
    taken = {"adjustment_id": "a-1", "points": -151, "reason": "too much"}
    assert code(await shop.post("/v1/members/m-1/adjustments", json=taken), 422) == "insufficient-points"


async def test_a_redemption_that_the_program_forbids_names_the_rule(shop: Face) -> None:
    await shop.program(
        PROGRAM.replace("amount = 100\n[[tiers]]", "amount = 100\nmin_points = 100\n[[tiers]]", 1)
    )
    await shop.buy("m-1", "p-1", 100_000)
    answer = await shop.post("/v1/redemptions", json={"redemption_id": "r-1", "member": "m-1", "points": 50})
    assert code(answer, 422) == "redemption-not-allowed"
    assert answer.json()["rule"] == "min_points"
    assert answer.json()["max_points"] == 1000


async def test_a_blocked_member_earns_but_does_not_redeem(shop: Face) -> None:
    await shop.patch("/v1/members/m-1", json={"status": "blocked"})
    await shop.buy("m-1", "p-1", 100_000)
    answer = await shop.post("/v1/redemptions", json={"redemption_id": "r-1", "member": "m-1", "points": 100})
    assert code(answer, 422) == "member-blocked"
    back = {"return_id": "b-1", "occurred_at": hours_ago(0.5)}
    assert (await shop.post("/v1/purchases/p-1/returns", json=back)).status_code == 201


async def test_more_than_was_bought_does_not_come_back(shop: Face) -> None:
    await shop.buy("m-1", "p-1", 10_000)
    back = {"return_id": "b-1", "occurred_at": hours_ago(0.5), "lines": [{"line": 1, "amount": 10_001}]}
    assert code(await shop.post("/v1/purchases/p-1/returns", json=back), 422) == "return-exceeds-purchase"


async def test_an_unlinked_return_is_refused_where_the_program_says_so(shop: Face) -> None:
    await shop.program(PROGRAM.replace("[redemption]", '[points]\nunlinked_returns = "refuse"\n[redemption]'))
    back = {
        "return_id": "b-1",
        "member": "m-1",
        "occurred_at": datetime.now(UTC).isoformat(),
        "lines": [{"sku": "a", "amount": 1}],
    }
    assert code(await shop.post("/v1/returns", json=back), 422) == "return-not-allowed"


async def test_the_future_is_refused_wherever_a_time_is_given(shop: Face) -> None:
    ahead = hours_ago(-1)
    assert code(await shop.post("/v1/members", json={"enrolled_at": ahead}), 422) == "future-time"
    assert (
        code(await shop.post("/v1/purchases", json=purchase("m-1", "p", occurred_at=ahead)), 422)
        == "future-time"
    )
    assert code(await shop.post("/v1/jobs/expiry", json={"through": ahead}), 422) == "future-time"


async def test_the_clock_goes_anywhere_before_the_first_posting_and_then_only_forward(shop: Face) -> None:
    ahead = await shop.put("/v1/sandbox/clock", json={"now": "2030-01-01T00:00:00+08:00"})
    assert ahead.status_code == 200
    answer = await shop.put("/v1/sandbox/clock", json={"now": "2025-01-01T00:00:00+08:00"})
    assert answer.status_code == 200
    assert answer.json()["now"].startswith("2024-12-31T16:00:00")
    await shop.buy("m-1", "p-1", occurred_at="2025-01-01T00:00:00+08:00")
    back = await shop.put("/v1/sandbox/clock", json={"now": "2024-06-01T00:00:00+08:00"})
    assert code(back, 422) == "clock-not-forward"
    assert (await shop.put("/v1/sandbox/clock", json={"now": "2025-02-01T00:00:00+08:00"})).status_code == 200


async def test_the_clock_is_not_there_outside_of_a_sandbox(database_url: str) -> None:
    async with face(database_url) as client:
        answer = await client.put("/v1/sandbox/clock", json={"now": "2030-01-01T00:00:00Z"})
        assert code(answer, 404) == "not-found"


async def test_a_faulty_program_is_refused_with_the_diagnostics_of_the_check(shop: Face) -> None:
    toml = {"content-type": "application/toml"}
    faulty = PROGRAM.replace('kind = "spend"', 'kind = "spent"')
    check = await shop.post("/v1/program/check", content=faulty, headers=toml)
    assert check.status_code == 200
    assert check.json()["valid"] is False
    (found,) = [one for one in check.json()["diagnostics"] if one["severity"] == "error"]
    assert "spent" in found["message"]
    assert found["line"] == faulty.split("spent")[0].count("\n") + 1
    put = await shop.put("/v1/program", content=faulty, headers=toml)
    assert code(put, 400) == "invalid-request"
    assert put.json()["diagnostics"] == check.json()["diagnostics"]


async def test_a_database_that_is_away_is_told_with_retry_after_and_no_details(
    database_url: str, postgres_url: str
) -> None:
    async with face(database_url) as shop:
        await shop.member(member_id="m-1")
        admin = await asyncpg.connect(postgres_url)
        name = database_url.rpartition("/")[2].partition("?")[0]
        try:
            await admin.execute(f'alter database "{name}" allow_connections false')
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name
            )
            answer = await shop.get("/v1/members/m-1")
            assert code(answer, 503) == "overloaded"
            assert int(answer.headers["retry-after"]) >= 1
            ready = await shop.get("/health/ready")
            assert ready.status_code == 503
            assert ready.json()["status"] == "not-ready"
            assert ready.json()["reasons"]
            assert (await shop.get("/health/live")).status_code == 200
        finally:
            await admin.execute(f'alter database "{name}" allow_connections true')
            await admin.close()
        for _ in range(50):
            if (await shop.get("/v1/members/m-1")).status_code == 200:
                break
        assert (await shop.get("/health/ready")).status_code == 200


async def test_a_defect_of_ours_says_nothing_about_itself(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret details")

    monkeypatch.setattr("loyalty.engine.engine.Engine.tier", broken)
    async with serving(database_url) as url, Face(url) as client:
        answer = await client.get("/v1/members/m-1/tier")
        assert code(answer, 500) == "internal"
        assert "secret" not in answer.text
        assert str(Path(__file__).parent) not in answer.text
