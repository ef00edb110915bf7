"""Bugs that other engines had, each with a test of its own where no test of a promise holds it already.

Held elsewhere: test_uploads (stack#1633, ledger#1600, blnk#315, midaz#2485), test_holds (tigerbeetle#2118, blnk#171),
test_time (ledger#1684), test_redeeming (medusa#16377), test_returns (nopCommerce#5757).
"""

import asyncio
from datetime import timedelta

from loyalty.engine.engine import Engine
from loyalty.errors import IdConflict, InsufficientPoints
from tests.builders import (
    BASE,
    START,
    adjust,
    back,
    expiry,
    goods_back,
    hold,
    open_ledger,
    program,
    purchase,
    redeem,
)
from tests.meeting import codes, meet
from tests.vault import VAULT

DAY = timedelta(days=1)


async def test_no_effect_between_expiry_and_sweep(database_url: str) -> None:
    """tigerbeetle#2000: between the instant and the sweep, what had expired still took effect."""
    async with open_ledger(database_url, program(expiry(days=10)), "ada") as ledger:
        await ledger.do(purchase(1000))
        await ledger.do(hold(4, id="h", seconds=5 * 86400))
        await ledger.move_clock(START + 5 * DAY + timedelta(seconds=5))
        await ledger.refused(hold(11), InsufficientPoints)
        await ledger.do(hold(10, seconds=86400))
        await ledger.move_clock(START + 10 * DAY)
        await ledger.refused(redeem(1), InsufficientPoints)
        assert await ledger.points() == (0, 0, 0, 0)


async def test_ids_under_load_never_collide(database_url: str) -> None:
    """formance/ledger#364: numbers handed out at once were the same."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            requests = [purchase(100, member=("ada", "bob")[at % 2]) for at in range(120)]
            outcomes = await meet([ledger.engine, other], requests)
        finally:
            await other.close()
        assert codes(outcomes) == {"created": 120}
        assert await ledger.value("select count(*) from posting") == 120


async def test_a_key_used_again_is_a_conflict_and_no_failure(database_url: str) -> None:
    """ledger#921, #1601: the same key with other content gave 500."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(adjust(10, id="k"))
        for _ in range(2):
            for again in (adjust(11, id="k"), adjust(10, "bob", id="k"), adjust(-10, id="k")):
                await ledger.refused(again, IdConflict)
        outcomes = await meet([ledger.engine], [adjust(at, id="n") for at in (5, 6, 7)], alone=True)
        assert codes(outcomes) == {"created": 1, "id-conflict": 2}


async def test_nothing_acknowledged_is_lost_when_the_engine_goes_and_comes_back(database_url: str) -> None:
    """midaz#1384, #2499: what had been answered 201 was gone after a restart."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        first = await Engine.open(database_url, VAULT, pool_size=2)
        requests = [purchase(100, id=f"p{at}") for at in range(30)]
        callers = [asyncio.create_task(first.submit(request)) for request in requests]
        await asyncio.sleep(0.01)
        await first.close()
        answered = [answer.body for answer in await asyncio.gather(*callers)]
        assert [(await ledger.do(request)).body for request in requests] == answered
        assert await ledger.available() == 30


async def test_a_change_of_settings_reverts_no_points(database_url: str) -> None:
    """midaz#2444: writing a setting of an account put an old balance back."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(1000))

        async def block(status: str) -> None:
            await ledger.fetch(f"update account set status = '{status}'")

        for turn in range(10):
            await asyncio.gather(
                ledger.do(adjust(-10)), block("blocked"), ledger.do(purchase(100)), block("active")
            )
            assert await ledger.available() == 1000 - 9 * (turn + 1)


async def test_a_refund_takes_the_earned_points_once(database_url: str) -> None:
    """odoo#257854: the refund kept them; odoo#212922: it deducted them twice."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000, id="p"))
        await ledger.do(purchase(500, id="q"))
        part = goods_back("p", START, back(amount=4000), id="t")
        for _ in range(3):
            await ledger.do(part)
        await meet([ledger.engine], [goods_back("p", START, id="rest")] * 5, alone=True)
        assert await ledger.points() == (5, 0, 0, 0)
        assert await ledger.entries() == [("earn", 100), ("earn", 5), ("clawback", -40), ("clawback", -60)]


async def test_a_threshold_is_reached_at_its_very_amount(database_url: str) -> None:
    """erpnext#33550: who spent exactly the threshold stayed below it."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        assert (await ledger.do(purchase(499999))).tier.tier == "ordinary"
        assert (await ledger.do(purchase(1))).tier.tier == "silver"
        assert (await ledger.do(purchase(2000000, member="bob"))).tier.tier == "gold"


async def test_parallel_gifts_mint_no_points(database_url: str) -> None:
    """fuint#71: gifts handed out at once all counted from the same balance."""
    rules = BASE + (
        '[[rules]]\nid = "gift"\nkind = "flat"\npoints = 100\nlimit = { per_member = 1, budget_points = 1000 }\n'
    )
    async with open_ledger(database_url, program(rules=rules), "ada") as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            outcomes = await meet([ledger.engine, other], [purchase(100) for _ in range(20)], alone=True)
        finally:
            await other.close()
        assert sorted(outcome.points_earned for outcome in outcomes) == [1] * 19 + [101]
        assert await ledger.available() == 120
