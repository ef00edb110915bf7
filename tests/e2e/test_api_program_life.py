"""The life of a program: who put which version in force when and why, and what it changed."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.face import PROGRAM, Face, code, face, hours_ago

TOML = {"content-type": "application/toml"}


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Face]:
    async with face(database_url) as client:
        yield client


async def test_versions_are_listed_read_and_compared(shop: Face) -> None:
    changed = PROGRAM.replace("500000", "600000")
    put = await shop.put("/v1/program?note=dearer", content=changed, headers=TOML)
    assert put.status_code == 200
    third = put.json()["version"]
    coming = await shop.put(
        f"/v1/program?effective_from={hours_ago(-48).replace('+', '%2B')}",
        content=changed.replace("points = 1\n", "points = 2\n"),
        headers=TOML,
    )
    assert coming.status_code == 200

    listed = (await shop.get("/v1/program/versions")).json()
    assert listed["in_force"] == third
    assert [one["version"] for one in listed["versions"]] == [third + 1, third, third - 1, third - 2]
    assert listed["versions"][1]["note"] == "dearer"
    assert set(listed["versions"][0]) == {"version", "effective_from", "author", "note", "recorded_at"}

    assert (await shop.get(f"/v1/program/versions/{third}")).json() == put.json()
    said = (await shop.get(f"/v1/program/diff?from={third - 1}&to={third}")).json()
    assert said == {
        "from": third - 1,
        "to": third,
        "changes": ["silver now needs 6,000.00 instead of 5,000.00"],
    }
    assert (await shop.get("/v1/program/diff")).json() == {
        "from": third,
        "to": third + 1,
        "changes": ["rule base: 1 -> 2 points for every 1.00"],
    }


@pytest.mark.parametrize("number", ["0", "99", "x", "-1", "1.5", "99999999999", "１"])
async def test_a_version_that_does_not_exist_is_not_found(shop: Face, number: str) -> None:
    assert code(await shop.get(f"/v1/program/versions/{number}"), 404) == "not-found"


async def test_a_comparison_names_what_it_does_not_find(shop: Face) -> None:
    assert code(await shop.get("/v1/program/diff?to=99"), 404) == "not-found"
    assert code(await shop.get("/v1/program/diff?from=x"), 400) == "invalid-request"
    assert code(await shop.get("/v1/program/diff?from=0"), 400) == "invalid-request"
    assert code(await shop.get("/v1/program/diff?between=1"), 400) == "invalid-request"
