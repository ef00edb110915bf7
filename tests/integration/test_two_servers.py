"""Two servers on one database: what limits and budgets promise holds over both, whoever is asked."""

from collections import Counter
from datetime import timedelta

from loyalty.engine.engine import Engine
from tests.builders import BASE, START, event, goods_back, open_ledger, program, purchase
from tests.meeting import codes, meet
from tests.vault import VAULT

SURVEY = """
[[rules]]
id = "survey"
kind = "event"
type = "survey"
points = 20
limit = { per_member = 3, per_member_day = 2, budget_points = 290 }
"""
GIFT = """
[[rules]]
id = "gift"
kind = "flat"
points = 10
limit = { per_member = 2, budget_points = 95 }
"""
MEMBERS = [f"m{number}" for number in range(8)]


async def test_limits_and_the_budget_of_events_hold(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=BASE + SURVEY), *MEMBERS) as ledger:
        await ledger.move_clock(START + timedelta(days=3))
        other = await Engine.open(database_url, VAULT, pool_size=4)
        events = [
            event(member=member, at=START + timedelta(days=day), id=f"{member}/{day}/{number}")
            for number in range(3)
            for day in range(3)
            for member in MEMBERS
        ]
        try:
            outcomes = await meet([ledger.engine, other], [*events, *reversed(events)], alone=True)
        finally:
            await other.close()
        assert codes(outcomes) == {"created": len(events), "replayed": len(events)}
        first, again = outcomes[: len(events)], outcomes[len(events) :]
        assert [one.body for one in first] == [one.body for one in reversed(again)]
        assert sum(one.points_earned for one in first) == 290
        assert await ledger.value("select sum(points)::int from budget") == 290
        earned = [one for one in first if one.points_earned]
        assert max(Counter(one.member_id for one in earned).values()) <= 3
        assert max(Counter(one.event_id.rpartition("/")[0] for one in earned).values()) <= 2


async def test_a_budget_that_returns_free_while_others_draw_on_it_is_never_overdrawn(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(rules=BASE + GIFT + SURVEY), *MEMBERS) as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        engines = [ledger.engine, other]
        try:
            bought = [purchase(1000, member=member, id=f"{member}/a") for member in MEMBERS]
            await meet(engines, bought, alone=True)
            mixed = [
                request
                for member in MEMBERS
                for request in (
                    goods_back(f"{member}/a"),
                    purchase(1000, member=member, id=f"{member}/b"),
                    event(member=member),
                    goods_back(f"{member}/a"),
                    purchase(1000, member=member, id=f"{member}/c"),
                )
            ]
            outcomes = await meet([other, ledger.engine], mixed, alone=True)
        finally:
            await other.close()
        refused = codes(outcomes)
        assert refused["return-exceeds-purchase"] == len(MEMBERS), "each came back once"
        kept = {row["rule"]: row["points"] for row in await ledger.fetch("select rule, points from budget")}
        assert kept["gift"] <= 95
        assert kept["survey"] == 20 * len(MEMBERS)
        given = await ledger.value("select sum(balance)::int from account")
        # A purchase of 10.00 earns 10; what is left beside is of the two rules.
        assert given == 10 * 2 * len(MEMBERS) + kept["gift"] + kept["survey"]
