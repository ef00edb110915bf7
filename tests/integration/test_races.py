"""Requests that meet: one effect each, whoever is first, in one process and in two. Real connections, no sleeps."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from loyalty.engine import expire
from loyalty.engine.engine import Engine
from loyalty.engine.past_due import Sizes
from loyalty.errors import HoldEnded, InsufficientPoints, LoyaltyError
from loyalty.types import Capture, PurchaseRedemption, Release, Request, Reversal
from tests.builders import (
    START,
    Ledger,
    adjust,
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


async def test_servers_that_start_at_once_give_a_database_one_starter_program(database_url: str) -> None:
    engines = await asyncio.gather(*(Engine.open(database_url, VAULT, pool_size=1) for _ in range(8)))
    try:
        async with engines[0].pool.acquire() as connection:
            versions = await connection.fetchval("select count(*) from program_version")
    finally:
        await asyncio.gather(*(engine.close() for engine in engines))
    assert versions == 1


async def test_the_same_request_fifty_times_at_once_has_one_effect(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            for alone in (False, True):
                request = purchase(1000)
                outcomes = await meet([ledger.engine, other], [request] * 50, alone=alone)
                assert codes(outcomes) == {"created": 1, "replayed": 49}
                assert len({outcome.body for outcome in outcomes}) == 1
        finally:
            await other.close()
        assert await ledger.points() == (20, 0, 0, 0)


async def test_the_same_id_with_different_content_at_once_has_one_effect(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            requests = [purchase(1000 * (1 + at % 5), id="p") for at in range(20)]
            outcomes = await meet([ledger.engine, other], requests, alone=True)
        finally:
            await other.close()
        assert codes(outcomes) == {"created": 1, "replayed": 3, "id-conflict": 16}
        assert len(await ledger.entries()) == 1


async def test_the_same_id_for_two_members_at_once_goes_to_one_of_them(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            for alone in (True, False):
                for make in (purchase, lambda id, member: adjust(100, member, id)):
                    name = f"{alone}-{make is purchase}"
                    requests = [make(id=name, member=("ada", "bob")[at % 2]) for at in range(10)]
                    outcomes = await meet([ledger.engine, other, ledger.engine], requests, alone=alone)
                    assert codes(outcomes) == {"created": 1, "replayed": 4, "id-conflict": 5}
        finally:
            await other.close()
        assert sum([await ledger.available("ada"), await ledger.available("bob")]) == 400


async def test_the_same_id_for_two_members_in_other_orders_never_deadlocks(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        for turn in range(5):
            ids = [f"{turn}-{at}" for at in range(10)]
            one = [purchase(100, id=id, member="ada") for id in ids]
            two = [purchase(100, id=id, member="bob") for id in reversed(ids)]
            first, second = await asyncio.gather(ledger.all(*one), ledger.all(*two))
            assert codes(first + second) == {"created": 10, "id-conflict": 10}


async def test_fifty_redemptions_of_the_same_points_spend_them_once(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            for alone in (False, True):
                await ledger.do(purchase(10000))
                requests = [redeem(30) if at % 2 else hold(30) for at in range(50)]
                outcomes = await meet([ledger.engine, other], requests, alone=alone)
                assert codes(outcomes) == {"created": 3, "insufficient-points": 47}
                left = await ledger.available()
                assert all(
                    outcome.facts == {"available": left, "missing": 30 - left}
                    for outcome in outcomes
                    if isinstance(outcome, InsufficientPoints)
                )
                await ledger.do(adjust(-left))
        finally:
            await other.close()


async def test_a_hold_captured_released_and_paid_with_at_once_ends_once(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            for turn in range(8):
                await ledger.do(adjust(100))
                before = await ledger.available()
                id = f"h{turn}"
                await ledger.do(hold(100, id=id))
                endings: list[Request] = [
                    Capture(id),
                    Release(id),
                    Capture(id, 40),
                    purchase(50000, id=f"p{turn}", pay=PurchaseRedemption(id)),
                ]
                endings = endings[turn % 4 :] + endings[: turn % 4]
                outcomes = await meet([ledger.engine, other], endings, alone=turn % 2 == 0)
                assert codes(outcomes)["created"] == 1, outcomes
                assert all(isinstance(lost, HoldEnded) for lost in outcomes if isinstance(lost, LoyaltyError))
                # A capture that comes after the purchase captured all is told the same.
                won = next(at for at, one in enumerate(outcomes) if codes([one])["created"])
                given = {Capture(id): -100, Release(id): 0, Capture(id, 40): -40}.get(
                    endings[won], -100 + 499
                )
                assert await ledger.available() == before + given
        finally:
            await other.close()


async def test_one_reversal_and_one_return_of_many_at_once_give_points_back_once(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(1000))
        await ledger.do(purchase(10000, id="p", pay=PurchaseRedemption("r", points=600)))
        outcomes = await meet(
            [ledger.engine],
            [Reversal("r", 200, f"v{at}") for at in range(6)] + [goods_back("p", START) for _ in range(3)],
            alone=True,
        )
        assert codes(outcomes)["created"] >= 1
        assert await ledger.points() == (1000, 0, 0, 0)


async def test_budgets_hold_under_concurrency(database_url: str) -> None:
    rules = """
[[rules]]
id = "gift"
kind = "flat"
points = 10
limit = { budget_points = 95, per_member = 2 }
"""
    members = [f"m{at}" for at in range(12)]
    async with open_ledger(database_url, program(rules=rules), *members) as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            requests = [purchase(1000, member=member) for member in members for _ in range(3)]
            outcomes = await meet([ledger.engine, other], requests, alone=True)
        finally:
            await other.close()
        earned = Counter(outcome.points_earned for outcome in outcomes)
        assert sum(points * times for points, times in earned.items()) == 95
        assert await ledger.value("select sum(points)::int from budget") == 95
        assert await ledger.value("select max(times) from counter where not isfinite(day)") <= 2


@pytest.mark.parametrize("how", ["merged", "erased"])
async def test_a_purchase_that_waits_while_its_member_goes_follows_him(database_url: str, how: str) -> None:
    """The name was looked up before; who is meant is asked again once the account is locked."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(purchase(1000))
        before = await ledger.available("bob")
        async with ledger.engine.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("select 1 from account for no key update")
            engine = ledger.engine
            going = asyncio.create_task(
                engine.merge("ada", "bob") if how == "merged" else engine.erase("ada")
            )
            await _waiting(ledger, 1)
            buying = asyncio.create_task(meet([engine], [purchase(1000)]))
            await _waiting(ledger, 2)
            await transaction.rollback()
        await going
        (outcome,) = await buying
        if how == "merged":
            assert await ledger.available("bob") == before + 10 + outcome.points_earned
        else:
            assert codes([outcome]) == {"unknown-member": 1}
        gone = await ledger.value("select number from account where status in ('merged', 'erased')")
        assert gone == await ledger.value(
            "select max(number) from posting where kind in ('merge', 'erasure')"
        )


async def _waiting(ledger: Ledger, count: int) -> None:
    """Until so many wait for a lock in this database."""
    for _ in range(500):
        waiting = await ledger.value(
            "select count(*) from pg_locks join pg_stat_activity using (pid)"
            " where not granted and datname = current_database()"
        )
        if waiting >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


async def test_two_expiry_batches_and_a_review_beside_traffic_post_everything_once(database_url: str) -> None:
    """Members fall due in the middle of it: whoever locks an account first posts what is due on it."""
    members = [f"m{at}" for at in range(40)]
    source = program(expiry(days=10), policy="validity_months = 1")
    async with open_ledger(database_url, source, *members, pool_size=6) as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            await ledger.all(*(purchase(600000, member=member) for member in members))
            await ledger.all(*(hold(100, member=member) for member in members))
            later = await ledger.move_clock(START + timedelta(days=75))
            counts: Any
            *counts, outcomes = await asyncio.gather(
                ledger.engine.expire(),
                other.expire(),
                other.review_tiers(),
                meet([ledger.engine, other], [purchase(100, later, member) for member in members] * 2),
            )
        finally:
            await other.close()
        assert codes(outcomes) == {"created": 40, "replayed": 40}
        posted = await ledger.fetch(
            "select kind::text, count(*)::int as n from posting"
            " where kind in ('expiry', 'timeout', 'verdict') group by 1"
        )
        found = {row["kind"]: row["n"] for row in posted}
        assert (found["timeout"], found["expiry"]) == (40, 40)
        assert found["verdict"] == await ledger.value(
            "select count(distinct (account, occurred_at)) from posting where kind = 'verdict'"
        )
        assert await ledger.value("select count(*) from account where due_at <= ledger_now()") == 0
        assert sum(batch["holds_timed_out"] for batch in counts[:2]) <= 40
        for member in members:
            assert await ledger.points(member) == (1, 0, 0, 0)


async def test_chunks_of_two_expiries_and_tills_meet_and_each_lot_expires_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members with nothing but lots, some of which end at one instant and some at another."""
    monkeypatch.setattr(expire, "SIZES", Sizes(alone=7, beside=3, at_once=2))
    members = [f"m{at}" for at in range(60)]
    async with open_ledger(database_url, program(expiry(days=10)), *members, pool_size=6) as ledger:
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            for days in (0, 0, 1):
                at = START + timedelta(days=days)
                await ledger.move_clock(at)
                await ledger.all(*(purchase(1000, at, member) for member in members))
            later = await ledger.move_clock(START + timedelta(days=30))
            *counts, outcomes = await asyncio.gather(
                ledger.engine.expire(),
                other.expire(),
                other.expire(),
                meet([ledger.engine, other], [purchase(100, later, member) for member in members[::2]]),
            )
        finally:
            await other.close()
        assert codes(outcomes) == {"created": 30}
        assert await ledger.value("select count(*) from posting where kind = 'expiry'") == 120
        assert await ledger.value("select count(*) from account where due_at <= ledger_now()") == 0
        assert sum(batch["points_expired"] for batch in counts) <= 60 * 30
        for place, member in enumerate(members):
            assert await ledger.points(member) == ((place + 1) % 2, 0, 0, 0)
