"""What a candidate program changes: figures that one can work out by hand."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from loyalty.backtest import Report, backtest
from loyalty.backtest.html import page
from loyalty.errors import InvalidRequest
from loyalty.rewards.model import RewardTerms
from loyalty.types import PurchaseRedemption, Reversal, UnlinkedReturn
from tests.builders import (
    BASE,
    START,
    Ledger,
    adjust,
    back,
    expiry,
    goods_back,
    hold,
    line,
    open_ledger,
    program,
    purchase,
    redeem,
)
from tests.integration.reports import assert_same
from tests.rewards import LAMP, Shop
from tests.vault import VAULT

DOUBLE = BASE.replace("points = 1", "points = 2")
HALF = BASE.replace("per_amount = 100", "per_amount = 200")


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url, program(), "ada", "bob") as opened:
        yield opened


async def tried(ledger: Ledger, source: str, **options: Any) -> Report:
    """Everything that was posted, under a candidate; what was in force must come to the ledger."""
    found = await backtest(ledger.url, source, vault=VAULT, processes=1, **options)
    assert found.reproduced.different == 0, found.reproduced.examples
    assert_same(found, await backtest(ledger.url, source, vault=VAULT, processes=1, verify=True, **options))
    return found


async def test_points_their_cost_and_who_gains(ledger: Ledger) -> None:
    await ledger.do(purchase(10000))
    bought = await ledger.do(purchase(30000, member="bob"))
    await ledger.do(goods_back(bought.purchase_id, START, back(amount=10000)))
    found = await tried(ledger, program(rules=DOUBLE))
    assert (found.now.total.issued, found.now.total.clawed_back) == (400, 100)
    assert (found.candidate.total.issued, found.candidate.total.clawed_back) == (800, 200)
    assert found.candidate.total.cost_amount == 600
    assert found.candidate.outstanding.points == 600
    assert (found.winners, found.losers) == (2, 0)
    assert [(row.member_id, row.gain) for row in found.most_gained] == [("bob", 200), ("ada", 100)]
    rule = found.rules[0]
    assert rule.now is not None
    assert rule.candidate is not None
    assert (rule.rule, rule.now.issued, rule.candidate.issued, rule.candidate.clawed_back) == (
        "base",
        400,
        800,
        200,
    )
    assert await ledger.available("ada") == 100, "the ledger stays as it was"
    assert sum(row.members for row in found.gains) == found.members == 2


async def test_rewards_are_claimed_at_the_price_of_then_or_not_at_all(ledger: Ledger) -> None:
    shop = Shop(ledger)
    await shop.put("lamp", LAMP, 3)
    for member in ("ada", "bob"):
        await ledger.do(purchase(40000, member=member))
        await shop.claim("lamp", member, f"c-{member}")
    await ledger.do(purchase(60000, member="bob"))
    await shop.cancel("c-bob")
    await shop.put("lamp", RewardTerms("Lamp", "gift", 9999, tiers=("gold",)))
    found = await tried(ledger, program(redemption="", rules=HALF))
    (row,) = found.candidate.capped
    assert (row.kind, row.count, row.dropped, row.wanted_points, row.made_points) == ("claim", 2, 2, 600, 0)
    assert (found.now.total.redeemed, found.candidate.total.redeemed) == (300, 0)
    found = await tried(ledger, program(redemption="", rules=DOUBLE))
    assert (found.candidate.total.redeemed, found.candidate.capped) == (300, [])


async def test_redemptions_are_capped_to_what_there_is_in_whole_steps(ledger: Ledger) -> None:
    for member in ("ada", "bob"):
        await ledger.do(purchase(10000, member=member))
    await ledger.do(redeem(90, id="r1"))
    await ledger.do(purchase(10000, member="bob", pay=PurchaseRedemption("r2", points=90)))
    await ledger.do(Reversal("r1", 40, "v1"))
    steps = "points = 1\namount = 1\nmin_points = 20\nstep_points = 20"
    found = await tried(ledger, program(redemption=steps, rules=HALF))
    capped = {row.kind: row for row in found.candidate.capped}
    for kind in ("redemption", "purchase"):
        row = capped[kind]
        assert (row.count, row.dropped, row.wanted_points, row.made_points) == (1, 0, 90, 40)
    assert found.candidate.total.redeemed == 40  # 80 less the reversal, of as much as there was
    none = await tried(ledger, program(redemption="", rules=BASE))
    assert {(row.kind, row.dropped) for row in none.candidate.capped} == {("redemption", 1), ("purchase", 1)}
    assert none.candidate.total.redeemed == 0
    assert not none.candidate.refused
    assert none.gains_in == "points"


async def test_a_hold_that_was_capped_is_captured_as_far_as_it_goes(ledger: Ledger) -> None:
    await ledger.do(purchase(10000))
    await ledger.do(hold(80, id="h1"))
    await ledger.do(purchase(10000, pay=PurchaseRedemption("h1", points=80)))
    await ledger.do(adjust(-60))
    found = await tried(ledger, program(rules=HALF))
    assert found.candidate.total.redeemed == 50
    assert {(row.kind, row.made_points) for row in found.candidate.capped} == {
        ("redemption", 50),
        ("adjustment", 49),
    }


async def test_what_the_candidate_refuses_is_counted(ledger: Ledger) -> None:
    await ledger.do(purchase(10000))
    await ledger.do(UnlinkedReturn("t1", "ada", START, (line(3000),)))
    found = await tried(ledger, program(points='unlinked_returns = "refuse"'))
    assert [(row.kind, row.code, row.count) for row in found.candidate.refused] == [
        ("return without a purchase", "return-not-allowed", 1)
    ]
    assert found.now.total.clawed_back == 30
    assert found.candidate.total.clawed_back == 0


async def test_tiers_move_and_count_in_the_matrix(ledger: Ledger) -> None:
    await ledger.do(purchase(300000))
    await ledger.do(purchase(100, member="bob"))
    tiers = '[[tiers]]\nid = "ordinary"\n[[tiers]]\nid = "silver"\nqualify = { spend_amount = 200000 }\n'
    tiers += '[[tiers]]\nid = "gold"\nqualify = { spend_amount = 900000 }\n'
    found = await tried(ledger, program(tiers=tiers))
    assert found.matrix[0].members == {"ordinary": 1, "silver": 1, "gold": 0}
    assert (found.now.tier_changes.promotions, found.candidate.tier_changes.promotions) == (0, 1)


async def test_points_count_for_the_tier_that_their_purchase_was_judged_by(ledger: Ledger) -> None:
    now = await ledger.move_clock(timedelta(days=10))
    await ledger.do(purchase(500000, at=now))
    assert await ledger.tier() == "silver"
    await ledger.do(purchase(10000, at=START, id="late"))
    await ledger.do(goods_back("late", now, back(amount=4000)))
    await ledger.do(purchase(20000, at=now))
    await ledger.do(redeem(50))
    found = await tried(ledger, program(rules=DOUBLE))
    ordinary, silver, gold = found.tiers
    assert (ordinary.now.issued, ordinary.now.clawed_back, ordinary.now.redeemed) == (5100, 40, 0)
    assert (silver.now.issued, silver.now.clawed_back, silver.now.redeemed) == (200, 0, 50)
    assert (ordinary.candidate.issued, ordinary.candidate.clawed_back) == (10200, 80)
    assert (silver.candidate.issued, silver.candidate.redeemed, gold.candidate.issued) == (400, 50, 0)


async def test_expiry_is_the_candidates(ledger: Ledger) -> None:
    await ledger.do(purchase(10000))
    await ledger.move_clock(timedelta(days=40))
    found = await tried(ledger, program(points=expiry(days=30)))
    assert (found.now.total.expired, found.candidate.total.expired) == (0, 100)
    assert [row.outstanding.points for row in found.months] == [100, 0]
    assert found.losers == 1


async def test_a_budget_ends_for_all_members_together(ledger: Ledger) -> None:
    for _ in range(4):
        for member in ("ada", "bob"):
            await ledger.do(purchase(1000, member=member, at=await ledger.engine.now()))
        await ledger.move_clock(timedelta(hours=2))
    bonus = '[[rules]]\nid = "bonus"\nkind = "flat"\npoints = 30\nlimit = { budget_points = 150 }\n'
    found = await tried(ledger, program(rules=BASE + bonus))
    (budget,) = found.budgets
    assert budget.ran_out_at is not None
    assert budget.used_points == 120  # the hour in which it ran out would have taken it to 180
    assert found.passes == 2
    enough = await tried(ledger, program(rules=BASE + bonus.replace("150", "240")))
    assert (enough.passes, enough.budgets[0].used_points, enough.budgets[0].ran_out_at) == (1, 240, None)


async def test_a_candidate_from_then_on(ledger: Ledger) -> None:
    await ledger.do(purchase(10000, id="p1"))
    now = await ledger.move_clock(timedelta(days=10))
    await ledger.do(purchase(20000, at=now))
    await ledger.do(goods_back("p1", now))
    start = now - timedelta(days=5)
    found = await tried(ledger, program(rules=DOUBLE), start=start)
    assert (found.now.total.issued, found.candidate.total.issued) == (200, 400)
    assert found.candidate.total.clawed_back == 100, "bought before, and judged by the program of then"
    assert found.candidate.outstanding.points == 400
    early = await backtest(ledger.url, program(rules=DOUBLE), end=start, processes=1)
    assert early.purchases == 1
    assert not early.reproduced.checked
    assert early.candidate.total.issued == 200
    with pytest.raises(InvalidRequest):
        await backtest(ledger.url, program(), start=now + timedelta(days=1), processes=1)


async def test_a_purchase_that_would_earn_more_than_an_account_can_hold_is_told_as_one(
    ledger: Ledger,
) -> None:
    await ledger.do(purchase(2**50))
    found = await tried(ledger, program(rules=BASE.replace("points = 1", "points = 1000000")))
    assert [(row.kind, row.code, row.count) for row in found.candidate.refused] == [
        ("purchase", "invalid-request", 1)
    ]


async def test_faulty_candidates_are_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest):
        await backtest(ledger.url, "name = 3", vault=VAULT, processes=1)
    with pytest.raises(InvalidRequest):
        await backtest(ledger.url, program().replace("CNY", "EUR"), processes=1)


async def test_processes_come_to_the_same(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loyalty.backtest.run.POSTINGS_AT_ONCE", 2)
    for _ in range(3):
        for member in ("ada", "bob"):
            await ledger.do(purchase(12345, member=member))
    alone = await backtest(ledger.url, program(rules=DOUBLE), processes=1)
    seen: list[float] = []
    together = await backtest(
        ledger.url, program(rules=DOUBLE), processes=2, progress=lambda part, _: seen.append(part)
    )
    assert together.processes == 2
    assert (together.now, together.candidate, together.gains) == (alone.now, alone.candidate, alone.gains)
    assert seen == [0.5, 1.0]


async def test_the_page_stands_by_itself(ledger: Ledger) -> None:
    await ledger.do(purchase(10000))
    text = page(await tried(ledger, program(rules=DOUBLE).replace('"Test"', '"<b>Sale & more</b>"')))
    assert "&lt;b&gt;Sale &amp; more&lt;/b&gt;" in text
    assert "<b>Sale" not in text
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in text
    assert text.count("<svg") == text.count("</svg>") == 4


async def test_a_ledger_without_postings(ledger: Ledger) -> None:
    found = await tried(ledger, program())
    assert (found.purchases, found.members) == (0, 0)
    assert "<svg" in page(found) or "Nothing." in page(found)
