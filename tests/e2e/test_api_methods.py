"""Methods that a path does not take, and what a query must not say."""

import pytest

from tests.e2e.face import code, face


async def test_every_method_of_a_path_is_told(database_url: str) -> None:
    async with face(database_url) as client:
        told = await client.options("/v1/members/li")
        assert told.status_code == 204
        assert told.headers["allow"] == "DELETE, GET, PATCH"
        refused = await client.post("/v1/purchases/P1%2F2")
        assert code(refused, 405) == "method-not-allowed"
        assert refused.headers["allow"] == "GET"
        assert (await client.options("/v1/nothing")).status_code == 404


async def test_a_browser_at_the_root_is_led_to_the_page_of_calls(database_url: str) -> None:
    async with face(database_url) as client:
        answer = await client.get("/", follow_redirects=True)
        assert answer.status_code == 200
        assert answer.url.path == "/schema"
        assert "SwaggerUIBundle" in answer.text


@pytest.mark.parametrize(
    "path, field",
    [
        ("/v1/members/li/balance?known_at=null", "known_at"),
        ("/v1/members/li/balance?as_of=0.5", "as_of"),
        ("/v1/members/li/balance?as_of=1700000000", "as_of"),
        ("/v1/members?name=Li%C2%9B", "name"),
        ("/v1/members/li/entries?cursor=0", "cursor"),
        ("/v1/members/li/purchases?cursor=1", "cursor"),
        ("/v1/members?name=Li&cursor=xyz", "cursor"),
    ],
)
async def test_what_only_looks_like_a_value_is_refused(database_url: str, path: str, field: str) -> None:
    async with face(database_url) as client:
        await client.member(member_id="li")
        answer = await client.get(path)
        assert code(answer, 400) == "invalid-request"
        assert answer.json()["errors"][0]["path"] == field
