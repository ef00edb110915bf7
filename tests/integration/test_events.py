"""Events through the engine: what they earn, when, how often, and what becomes of them."""

import asyncio
from datetime import date, timedelta

from loyalty.errors import FutureTime, IdConflict, UnknownMember
from loyalty.types import OpeningTier
from tests.builders import (
    BASE,
    START,
    adjust,
    day,
    event,
    expiry,
    goods_back,
    open_ledger,
    program,
    purchase,
    redeem,
)

SURVEY = '[[rules]]\nid = "survey"\nkind = "event"\npoints = 20\ntype = "survey"\n'
RULES = BASE + SURVEY


async def test_an_event_earns_and_is_told_like_a_purchase(database_url: str) -> None:
    source = program(points=expiry(months=12), rules=RULES)
    async with open_ledger(database_url, source, "ada") as ledger:
        receipt = await ledger.do(event(id="e1", channel="app"))
        assert (receipt.event_id, receipt.member_id, receipt.type) == ("e1", "ada", "survey")
        assert (receipt.points_earned, receipt.points_pending, receipt.debt_repaid) == (20, 0, 0)
        assert [(row.rule, row.points) for row in receipt.explain] == [("survey", "20")]
        assert (receipt.rounding, receipt.balance.available, receipt.program_version) == ("0", 20, 2)
        assert [lot.points for lot in receipt.lots] == [20]
        page = await ledger.engine.entries("ada")
        (entry,) = page.entries
        assert (entry.kind, entry.points, entry.event_id) == ("earn", 20, "e1")


async def test_an_event_that_no_rule_knows_is_recorded_and_earns_nothing(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=RULES), "ada") as ledger:
        receipt = await ledger.do(event("visit", id="e1"))
        assert (receipt.points_earned, receipt.lots, receipt.explain) == (0, [], [])
        assert (await ledger.do(event("visit", id="e1"))).replayed
        assert await ledger.entries() == []


async def test_the_same_id_has_one_effect(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=RULES), "ada", "bob") as ledger:
        first = await ledger.do(event(id="e1"))
        await ledger.do(event())
        again = await ledger.do(event(id="e1", at=START.astimezone()))
        assert again.replayed
        assert again.body == first.body
        for other in (
            event("review", id="e1"),
            event(id="e1", at=START - timedelta(seconds=1)),
            event(id="e1", channel="app"),
            event(id="e1", member="bob"),
        ):
            await ledger.refused(other, IdConflict)
        # Ids are unique within their kind.
        assert (await ledger.do(purchase(id="e1"))).points_earned == 100


async def test_what_must_be_refused(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=RULES), "ada") as ledger:
        await ledger.refused(event(member="nobody"), UnknownMember)
        await ledger.refused(event(at=START + timedelta(minutes=6)), FutureTime)


async def test_an_event_is_judged_by_the_day_the_tier_and_the_program_of_its_time(database_url: str) -> None:
    silver = '[[rules]]\nid = "silver"\nkind = "event"\npoints = 100\ntype = "survey"\nwhen = { tier = "silver" }\n'
    async with open_ledger(database_url, program(rules=RULES), "ada") as ledger:
        await ledger.move_clock(START + timedelta(days=10))
        await ledger.put(program(rules=BASE + SURVEY.replace("20", "30") + silver))
        await ledger.move_clock(START + timedelta(days=20))
        now = await ledger.engine.now()
        await ledger.do(purchase(600000, at=now - timedelta(days=5)))
        assert await ledger.tier() == "silver"
        earned = [
            (await ledger.do(event(at=now - timedelta(days=days)))).points_earned for days in (15, 7, 5, 1)
        ]
        assert earned == [20, 30, 130, 130]


async def test_events_count_for_no_tier_and_are_no_purchase(database_url: str) -> None:
    rules = RULES + '[[rules]]\nid = "first"\nkind = "flat"\npoints = 7\nwhen = { first_purchase = true }\n'
    tiers = '[[tiers]]\nid = "ordinary"\n[[tiers]]\nid = "silver"\nqualify = { visits = 1 }\n'
    async with open_ledger(database_url, program(tiers=tiers, rules=rules), "ada") as ledger:
        await ledger.do(event())
        assert await ledger.tier() == "ordinary"
        assert (await ledger.do(purchase())).points_earned == 107


async def test_limits_by_member_day_and_budget(database_url: str) -> None:
    limited = SURVEY + "limit = { per_member = 3, per_member_day = 1, budget_points = 70 }\n"
    async with open_ledger(database_url, program(rules=BASE + limited), "ada", "bob") as ledger:
        await ledger.move_clock(START + timedelta(days=9))
        earned = [
            (await ledger.do(event(at=START + timedelta(days=days), member=member))).points_earned
            for days, member in (
                (0, "ada"),
                (0, "ada"),
                (1, "ada"),
                (2, "ada"),
                (3, "ada"),
                (3, "bob"),
                (4, "bob"),
            )
        ]
        assert earned == [20, 0, 20, 20, 0, 10, 0]
        receipt = await ledger.do(event(at=START + timedelta(days=8), member="bob"))
        assert receipt.explain[0].note == "limited by budget_points: 20 wanted, 0 given"


async def test_at_once_from_many_tills_a_limit_holds(database_url: str) -> None:
    limited = SURVEY + "limit = { per_member_day = 2, budget_points = 130 }\n"
    members = [f"m{number}" for number in range(6)]
    async with open_ledger(database_url, program(rules=BASE + limited), *members) as ledger:
        told = await asyncio.gather(*(ledger.do(event(member=member)) for member in members * 4))
        assert sum(one.points_earned for one in told) == 130


async def test_points_are_pending_pay_debt_and_die_as_those_of_purchases(database_url: str) -> None:
    source = program(points=f"pending_days = 3\n{expiry(days=10)}", rules=RULES)
    async with open_ledger(database_url, source, "ada", "bob") as ledger:
        receipt = await ledger.do(event())
        assert (receipt.points_earned, receipt.points_pending) == (20, 20)
        assert receipt.lots[0].spendable_from == day(2026, 3, 5, 12).isoformat().replace("+00:00", "Z")
        bought = purchase(1000, member="bob", id="b1")
        await ledger.do(bought)
        await ledger.move_clock(START + timedelta(days=4))
        await ledger.do(redeem(10, "bob"))
        await ledger.do(goods_back("b1", START + timedelta(days=4)))
        owing = await ledger.do(event(at=START + timedelta(days=4), member="bob"))
        assert (owing.points_earned, owing.debt_repaid, owing.points_pending) == (20, 10, 10)
        await ledger.move_clock(START + timedelta(days=30))
        late = await ledger.do(event(at=START))
        assert (late.points_earned, late.balance.balance) == (20, 0)  # dead on arrival


async def test_an_event_that_earns_is_an_activity_and_one_that_does_not_is_none(database_url: str) -> None:
    source = program(points=expiry("inactivity", days=10), rules=RULES)
    async with open_ledger(database_url, source, "ada", "bob") as ledger:
        for member in ("ada", "bob"):
            await ledger.do(purchase(member=member))
        await ledger.move_clock(START + timedelta(days=8))
        at = START + timedelta(days=8)
        await ledger.do(event(at=at, member="ada"))
        await ledger.do(event("visit", at=at, member="bob"))
        await ledger.move_clock(START + timedelta(days=12))
        assert await ledger.available("ada") == 120
        assert await ledger.available("bob") == 0


async def test_blocked_members_earn(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=RULES), "ada") as ledger:
        await ledger.engine.pool.execute("update account set status = 'blocked'")
        assert (await ledger.do(event())).points_earned == 20


async def test_events_follow_a_merge(database_url: str) -> None:
    limited = SURVEY + "limit = { per_member = 2 }\n"
    async with open_ledger(database_url, program(rules=BASE + limited), "ada", "bob") as ledger:
        first = await ledger.do(event(id="e1"))
        await ledger.do(event(member="bob"))
        await ledger.engine.merge("ada", "bob")
        again = await ledger.do(event(id="e1", member="bob"))
        assert again.replayed
        assert again.body == first.body
        assert (await ledger.do(event(member="ada"))).points_earned == 0
        assert (await ledger.points("bob"))[0] == 40


async def test_an_erased_member_has_no_events_and_the_recorded_stay(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=RULES), "ada") as ledger:
        await ledger.do(event(id="e1"))
        await ledger.engine.erase("ada")
        await ledger.refused(event(), UnknownMember)
        explained = await ledger.engine.event_explanation("e1", verify=True)
        assert explained.verified


async def test_the_past_is_known_with_its_events(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=RULES), "ada") as ledger:
        await ledger.do(event())
        await ledger.move_clock(START + timedelta(days=2))
        await ledger.do(event(at=START + timedelta(days=1)))
        before = await ledger.balance("ada", known_at=START + timedelta(days=1, hours=12))
        since = await ledger.balance("ada", as_of=START + timedelta(days=1, hours=12))
        assert (before.balance, since.balance) == (20, 40)


async def test_every_decision_can_be_made_again(database_url: str) -> None:
    birthday = (
        '[[rules]]\nid = "b"\nkind = "event"\npoints = 5\ntype = "survey"\nwhen = { birthday = "month" }\n'
    )
    limited = SURVEY + "limit = { per_member_points = 30 }\n"
    async with open_ledger(database_url, program(rules=BASE + limited + birthday)) as ledger:
        await ledger.enrol("ada", birthday=date(1990, 3, 30))
        await ledger.do(OpeningTier("ada", "silver", START))
        await ledger.do(adjust(5))
        for number in range(4):
            receipt = await ledger.do(event(id=f"e{number}"))
            explained = await ledger.engine.event_explanation(f"e{number}", True, "member", "en")
            assert (explained.verified, explained.points_earned) == (True, receipt.points_earned)
            assert explained.judged.birthday == {"week", "month"} - ({"week"} if START.day < 25 else set())
            assert explained.words is not None
            assert explained.words[0] == f"You earned {receipt.points_earned} points."
        await ledger.do(purchase(id="e1"))
        again = await ledger.engine.event_explanation("e1", True)
        assert again.verified
