"""Limits and budgets: charged in whole points, given back by returns, never taken by them."""

import asyncio
from datetime import timedelta

from loyalty.db.connect import connect_owner
from loyalty.engine.engine import Engine
from tests.builders import BASE, START, back, day, goods_back, line, open_ledger, program, purchase, told
from tests.vault import VAULT


def flat(id: str, points: int, limit: str = "", when: str = "", group: str = "") -> str:
    """A rule that gives a number of points."""
    return (
        f'[[rules]]\nid = "{id}"\nkind = "flat"\npoints = {points}\n'
        + (f"limit = {{ {limit} }}\n" if limit else "")
        + (f"when = {{ {when} }}\n" if when else "")
        + (f'group = "{group}"\n' if group else "")
    )


async def test_first_purchase_is_the_first_that_is_kept(database_url: str) -> None:
    rules = flat("welcome", 100, when="first_purchase = true")
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        assert (await ledger.do(purchase(1000, id="p"))).points_earned == 100
        assert (await ledger.do(purchase(1000, id="q"))).points_earned == 0
        assert (await ledger.do(goods_back("q"))).points_clawed_back == 0
        assert (await ledger.do(goods_back("p"))).points_clawed_back == 100
        assert (await ledger.do(purchase(1000))).points_earned == 100
        assert (await ledger.do(purchase(1000))).points_earned == 0


async def test_first_purchase_within_one_upload_counts_once(database_url: str) -> None:
    rules = flat("welcome", 100, when="first_purchase = true")
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        outcomes = await ledger.all(*(purchase(1000) for _ in range(3)))
        assert [outcome.points_earned for outcome in outcomes] == [100, 0, 0]


async def test_times_per_member_and_per_day_are_counted_and_given_back(database_url: str) -> None:
    rules = flat("a", 10, "per_member = 3, per_member_day = 1")
    async with open_ledger(database_url, program(rules=rules), "ada", "bob") as ledger:
        assert (await ledger.do(purchase(100, id="p"))).points_earned == 10
        assert (await ledger.do(purchase(100))).points_earned == 0
        assert (await ledger.do(purchase(100, member="bob"))).points_earned == 10
        assert (await ledger.do(goods_back("p"))).points_clawed_back == 10
        assert (await ledger.do(purchase(100))).points_earned == 10  # the day is free again
        for days in (1, 2, 3):
            earned = (await ledger.do(purchase(100, START - timedelta(days=days)))).points_earned
            assert earned == (10 if days < 3 else 0)


async def test_a_return_on_another_day_frees_the_day_of_the_purchase(database_url: str) -> None:
    rules = flat("a", 10, "per_member_day = 1")
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        yesterday = START - timedelta(days=1)
        for id, at in (("p", yesterday), ("q", START)):
            assert (await ledger.do(purchase(100, at, id=id))).points_earned == 10
        assert (await ledger.do(goods_back("p", START))).points_clawed_back == 10
        assert (await ledger.do(purchase(100))).points_earned == 0
        assert (await ledger.do(purchase(100, yesterday))).points_earned == 10  # it arrives late
        assert (await ledger.do(purchase(100, yesterday))).points_earned == 0


async def test_a_day_of_a_limit_is_a_local_day(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=flat("a", 10, "per_member_day = 1")), "ada") as ledger:
        midnight = day(2026, 3, 1)
        first = await ledger.do(purchase(100, midnight - timedelta(seconds=1)))
        second = await ledger.do(purchase(100, midnight))
        assert (first.points_earned, second.points_earned) == (10, 10)


async def test_points_per_member_are_trimmed_to_what_is_left(database_url: str) -> None:
    async with open_ledger(
        database_url, program(rules=flat("a", 10, "per_member_points = 25")), "ada"
    ) as ledger:
        earned = [(await ledger.do(purchase(100, id=f"p{at}"))).points_earned for at in range(4)]
        assert earned == [10, 10, 5, 0]
        await ledger.do(goods_back("p0"))
        assert (await ledger.do(purchase(100))).points_earned == 10


async def test_a_budget_gives_what_is_left_of_it_and_gets_back_what_a_return_frees(database_url: str) -> None:
    rules = BASE + flat("gift", 30, "budget_points = 50")
    async with open_ledger(database_url, program(rules=rules), "ada", "bob") as ledger:
        assert (await ledger.do(purchase(100, id="p"))).points_earned == 31
        second = await ledger.do(purchase(100, member="bob", id="q"))
        assert second.points_earned == 21
        assert [part.points for part in second.explain] == ["1", "20"]
        assert "30" in second.explain[1].note  # what was wanted
        assert (await ledger.do(purchase(100))).points_earned == 1
        await ledger.do(goods_back("p"))
        assert (await ledger.do(purchase(100))).points_earned == 31


GROUP = (
    BASE
    + flat("big", 100, when="min_amount = 10000", group="g")
    + flat("small", 50, "budget_points = 50, per_member = 1", group="g")
)


async def test_a_return_never_takes_of_a_budget(database_url: str) -> None:
    """What is kept falls to a rule that the purchase did not use: the rest then mints none of its budget."""
    async with open_ledger(database_url, program(rules=GROUP), "ada", "bob") as ledger:
        await ledger.do(purchase(10000, id="p"))
        assert (await ledger.do(purchase(1000, member="bob"))).points_earned == 60
        assert (await ledger.do(goods_back("p", START, back(amount=5000)))).points_clawed_back == 100
        assert (await ledger.do(goods_back("p"))).points_clawed_back == 100
        assert await ledger.value("select points::int from budget") == 50
        assert (await ledger.do(purchase(1000, member="bob"))).points_earned == 10
        assert (await ledger.do(purchase(1000))).points_earned == 10


async def test_a_return_never_takes_more_of_a_budget_for_a_rule_that_would_now_give_more(
    database_url: str,
) -> None:
    """Without the gift another rule of its group wins, and what multiplies its points would come to more."""
    rules = (
        BASE
        + flat("gift", 100, group="g").replace("group", 'where = { sku = "A" }\ngroup')
        + '[[rules]]\nid = "goods"\nkind = "spend"\npoints = 9\nper_amount = 100\nwhere = { sku = "B" }\ngroup = "g"\n'
        + '[[rules]]\nid = "x2"\nkind = "multiplier"\nfactor = 2\nlimit = { budget_points = 500 }\n'
    )
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        basket = (line(100, sku="A"), line(1000, sku="B"))
        assert (await ledger.do(purchase(basket, id="p"))).points_earned == 11 + 100 + 11
        assert (await ledger.do(goods_back("p", START, back(1)))).points_clawed_back == 0
        assert await ledger.value("select points::int from budget") == 11
        assert (await ledger.do(goods_back("p"))).points_clawed_back == 122
        assert await ledger.value("select points::int from budget") == 0


async def test_two_parts_and_the_whole_give_back_the_same_of_a_budget(database_url: str) -> None:
    rules = BASE + flat("gift", 30, "budget_points = 1000", when="min_amount = 5000")
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        for id in ("p", "q"):
            await ledger.do(purchase(10000, id=id))
        assert await ledger.value("select points::int from budget") == 60
        await ledger.do(goods_back("p", START, back(amount=6000)))
        assert await ledger.value("select points::int from budget") == 30
        await ledger.do(goods_back("p"))
        await ledger.do(goods_back("q"))
        assert await ledger.value("select points::int from budget") == 0


async def test_a_budget_holds_within_one_upload(database_url: str) -> None:
    members = [f"m{at}" for at in range(5)]
    async with open_ledger(
        database_url, program(rules=flat("gift", 30, "budget_points = 70")), *members
    ) as ledger:
        outcomes = await ledger.all(*(purchase(100, member=member) for member in members))
        assert [outcome.points_earned for outcome in outcomes] == [30, 30, 10, 0, 0]


async def test_a_hot_budget_stops_no_till_whose_purchase_does_not_draw_on_it(database_url: str) -> None:
    rules = BASE + flat("gift", 30, "budget_points = 1000", when='channel = "online"')
    async with open_ledger(database_url, program(rules=rules), "ada", "bob") as ledger:
        await ledger.do(purchase(1000, channel="online"))
        other = await Engine.open(database_url, VAULT, pool_size=2)
        owner = await connect_owner(database_url)
        try:
            async with owner.transaction():
                await owner.execute("select from budget for update")
                waiting = asyncio.create_task(ledger.engine.submit(purchase(1000, channel="online")))
                await asyncio.sleep(0.2)
                async with asyncio.timeout(5):
                    for _ in range(5):
                        await other.submit(purchase(1000, member="bob"))
                assert not waiting.done()
            assert told(await waiting).points_earned == 40
        finally:
            await owner.close()
            await other.close()
