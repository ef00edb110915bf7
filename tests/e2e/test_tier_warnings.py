"""Who would fall soon, over HTTP and on the command line, and the picture of who moves where."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from asyncpg import connect

from tests.e2e.face import PROGRAM, code, face, purchase
from tests.e2e.shell import loyalty

NOW = datetime.now(UTC)
TIERS = (
    PROGRAM.replace(
        "qualify = { spend_amount = 500000 }",
        'qualify = { spend_amount = 500000, visits = 3, need = "any" }',
    )
    + """
[tier_policy]
window = { kind = "rolling", months = 1 }
validity_months = 1
"""
)


async def test_members_who_would_fall_are_told_and_then_moved(database_url: str, tmp_path: Path) -> None:
    async with face(database_url, sandbox=True) as shop:
        begin = (NOW - timedelta(days=300)).replace(hour=2)
        assert (await shop.put("/v1/sandbox/clock", json={"now": begin.isoformat()})).status_code == 200
        await shop.program(TIERS)
        bought = begin + timedelta(hours=4)
        await shop.put("/v1/sandbox/clock", json={"now": bought.isoformat()})
        for number, member in enumerate(("ada", "bob", "cleo")):
            await shop.member(member_id=member)
            at = (begin + timedelta(hours=1 + number)).isoformat()
            body = purchase(member, f"p-{member}", 500_000, occurred_at=at)
            assert (await shop.post("/v1/purchases", json=body)).status_code == 201
        assert (await shop.get("/v1/reports/tier-warnings?within_days=5")).json()["warnings"] == []
        later = begin + timedelta(days=26)
        await shop.put("/v1/sandbox/clock", json={"now": later.isoformat()})
        for number, (member, amount) in enumerate((("ada", 300_000), ("bob", 500_000))):
            at = (later - timedelta(hours=5)).isoformat()
            body = purchase(member, f"q-{number}", amount, occurred_at=at)
            assert (await shop.post("/v1/purchases", json=body)).status_code == 201

        page = (await shop.get("/v1/reports/tier-warnings", params={"within_days": 20})).json()
        assert [one["member_id"] for one in page["warnings"]] == ["ada", "cleo"]
        assert page["next_cursor"] is None
        ada = page["warnings"][0]
        coming = (await shop.get("/v1/members/ada/tier")).json()["projected"]
        assert ada == {"member_id": "ada", "tier": "silver", "since": ada["since"], "projected": coming}
        assert (coming["tier"], coming["reason"], coming["window"]["visits"]) == ("ordinary", "review", 1)
        assert coming["needed"] == {"tier": "silver", "spend_amount": 200_000, "visits": 2, "need": "any"}
        assert page["as_of"] < coming["at"] < page["through"]
        told = []
        query: dict[str, str | int] = {"within_days": 20, "limit": 1}
        while True:
            page = (await shop.get("/v1/reports/tier-warnings", params=query)).json()
            told += [one["member_id"] for one in page["warnings"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert told == ["ada", "cleo"]
        for wrong in ("within_days=0", "within_days=367", "limit=0", "cursor=x"):
            assert code(await shop.get(f"/v1/reports/tier-warnings?{wrong}"), 400) == "invalid-request"

        said = loyalty(database_url, "report", "tier-warnings", "--within-days", "20", cwd=tmp_path).stdout
        assert said.startswith("2 members would fall within 20 days\n")
        rows = [line.split() for line in said.splitlines() if "silver" in line]
        day = rows[0][3]
        assert rows == [
            ["ada", "silver", "ordinary", day, *["2,000.00", "CNY", "or", "2", "visits"]],
            ["cleo", "silver", "ordinary", day, *["5,000.00", "CNY", "or", "3", "visits"]],
        ]
        lines = loyalty(
            database_url, "report", "tier-warnings", "--within-days", "20", "--json", cwd=tmp_path
        ).stdout.splitlines()
        assert msgspec.json.decode(lines[0]) == ada
        none = loyalty(database_url, "report", "tier-warnings", "--within-days", "1", cwd=tmp_path).stdout
        assert none.strip() == "0 members would fall within 1 day"

        await shop.put("/v1/sandbox/clock", json={"now": (later + timedelta(days=15)).isoformat()})
        before = await _changes(database_url)
        dry = loyalty(database_url, "review-tiers", "--dry-run", cwd=tmp_path).stdout
        assert await _changes(database_url) == before
        done = loyalty(database_url, "review-tiers", cwd=tmp_path).stdout
        assert dry == done + "Nothing was changed: this was a dry run.\n"
        assert await _changes(database_url) == before + 3
        assert _table(done) == [["ordinary", "silver"], ["silver", "2", "1"]]
        assert {"fallen 2", "renewed 1", "accounts 3"} <= {
            " ".join(line.split()) for line in done.splitlines()
        }
        assert _table(loyalty(database_url, "review-tiers", cwd=tmp_path).stdout) == []


def _table(printed: str) -> list[list[str]]:
    """The cells of the picture: its head, then a row for each tier from which somebody moved or stayed."""
    rows = [line.split() for line in printed.splitlines()]
    return [row for row in rows if row and row[0] in ("ordinary", "silver")]


async def _changes(database_url: str) -> int:
    connection = await connect(database_url)
    try:
        return int(await connection.fetchval("select count(*) from loyalty.tier_change"))
    finally:
        await connection.close()
