"""POST /v1/quotes: what members pay less and why, and the privileges that tills and shops act on."""

from tests.e2e.face import PROGRAM, Face, face, hours_ago, purchase, serving

CLUB = (
    PROGRAM.replace(
        "spend_amount = 500000 }", "spend_amount = 500000 }\nbenefits = { privileges = ['lounge'] }"
    )
    + '[[discounts]]\nid = "lamps"\npercent = 7.5\nwhere = { sku = "LAMP-1" }\n'
)


async def test_a_quote_tells_discounts_and_privileges_and_the_points_of_what_is_then_paid(
    database_url: str,
) -> None:
    async with serving(database_url) as url, Face(url) as shop:
        await shop.program(CLUB)
        member = await shop.member()
        await shop.buy(member, "p-0", 500_000, occurred_at=hours_ago(2))
        goods = [{"sku": "LAMP-1", "amount": 10_010}, {"sku": "TOWEL", "amount": 5_000}]
        sent = purchase(member, "p-1", lines=goods)
        quote = (await shop.post("/v1/quotes", json=sent)).json()
        assert quote["discounts"] == [{"line": 1, "percent": 7.5, "amount": 750, "discount": "lamps"}]
        assert (quote["total_amount"], quote["privileges"]) == (14_260, ["lounge"])
        goods[0] |= {"amount": 9_260, "list_amount": 10_010}
        assert (await shop.post("/v1/quotes", json=sent)).json()["discounts"] == []
        receipt = (await shop.post("/v1/purchases", json=sent)).json()
        assert receipt["points_earned"] == quote["points_earned"] == 142


async def test_a_purchase_on_record_is_quoted_whole_with_nothing_left_to_redeem(database_url: str) -> None:
    async with face(database_url) as client:
        await client.member(member_id="li")
        receipt = await client.buy("li", "P1", 20_000)
        quoted = await client.post("/v1/quotes", json=purchase("li", "P1", 20_000))
        assert quoted.status_code == 200
        told = quoted.json()
        assert {name: told[name] for name in receipt} == receipt
        assert (told["max_points"], told["discounts"], told["total_amount"]) == (0, [], 20_000)
