"""docs/REWARDS.md: its requests are sent as they stand, and do what the page says."""

import json
import re
from pathlib import Path

from loyalty.rewards.codes import read_code
from tests.e2e.face import PROGRAM, Face, serving

PAGE = (Path(__file__).parents[2] / "docs" / "REWARDS.md").read_text(encoding="utf-8")
REQUEST = re.compile(r"^    (PUT|POST) (\S+)\n    (\{.*\})$", re.MULTILINE)


async def test_the_page_takes_a_reward_from_the_catalogue_to_the_till(database_url: str) -> None:
    requests = {path: (method, json.loads(body)) for method, path, body in REQUEST.findall(PAGE)}
    catalogue, stock, claim, use = requests
    tiers = '[[tiers]]\nid = "gold"\nqualify = { spend_amount = 900000 }\n'
    source = PROGRAM.replace("[[rules]]", tiers + "[[rules]]", 1)
    async with serving(database_url) as url, Face(url) as shop:
        await shop.program(source)
        member = await shop.member(phone="+8613800000001")
        await shop.buy(member, "p-1", 500_000)
        answers = [
            await shop.request(requests[path][0], path, json=requests[path][1])
            for path in (catalogue, stock, claim)
        ]
        assert [answer.status_code for answer in answers] == [201, 201, 201]
        code = answers[-1].json()["voucher"]["code"]
        method, body = requests[use]
        shown = use.split("/")[3]
        assert read_code(shown) == shown
        assert (await shop.request(method, use.replace(shown, code), json=body)).status_code == 201
        assert (await shop.get("/v1/rewards/desk-lamp")).json()["stock"] == 19
        cancelled = await shop.post(f"/v1/claims/{requests[claim][1]['claim_id']}/cancel")
        assert cancelled.json()["code"] == "voucher-used"
