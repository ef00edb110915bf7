"""A purchase explained in words, as the till and the member page show it."""

import httpx

from tests.e2e.face import code, face


async def test_a_purchase_is_explained_in_the_words_of_whoever_asks(database_url: str) -> None:
    async with face(database_url) as shop:
        await shop.buy(await shop.member(), "p-1", 12_990)

        async def explained(query: str = "") -> httpx.Response:
            return await shop.get(f"/v1/purchases/p-1/explain{query}")

        plain = (await explained()).json()
        assert "words" not in plain
        member = (await explained("?words=member")).json()
        assert member == plain | {
            "words": [
                "You earned 129 points.",
                "129.9 points: 1 point for every 1.00 CNY.",
                "Whole points count: 129.9 becomes 129 points.",
            ]
        }
        staff = (await explained("?words=staff&language=zh&verify=true")).json()
        assert staff["verified"]
        assert staff["words"][0] == "获得 129 积分，会员等级 ordinary。"
        for query in ("?words=nobody", "?words=member&language=xx", "?words=member&language=../en"):
            assert code(await explained(query), 400) == "invalid-request"
        refused = (await explained("?words=member&language=xx")).json()
        assert refused["errors"] == [{"path": "language", "message": "should be one of en, zh"}]

        call = (await shop.get("/schema/openapi.json")).json()["paths"]["/v1/purchases/{purchase_id}/explain"]
        schemas = {one["name"]: one["schema"] for one in call["get"]["parameters"] if one["in"] == "query"}
        assert schemas["language"]["enum"] == ["en", "zh"]
        assert schemas["words"]["enum"] == ["member", "staff"]


async def test_words_come_from_the_version_that_judged(database_url: str) -> None:
    async with face(database_url) as shop:
        await shop.buy(await shop.member(), "p-1", 10_000)
        source = (await shop.get("/v1/program")).json()["source"]
        await shop.program(
            source.replace('id = "base"', 'id = "other"').replace("points = 1\n", "points = 9\n")
        )
        said = (await shop.get("/v1/purchases/p-1/explain?words=staff")).json()["words"]
        assert said[1] == "base: 100 points (1 point for every 1.00 CNY); line 1: 100."
