"""Claims that meet: the last unit goes to one member, a voucher is used once, and nobody waits who claims nothing."""

import asyncio
import random
from typing import Any

import pytest

from loyalty.db.connect import connect_owner
from loyalty.engine.engine import Engine
from loyalty.errors import LoyaltyError, Overloaded, VoucherCancelled
from loyalty.rewards.model import RewardTerms
from loyalty.types import Cancellation, Claim, Request
from tests.builders import Ledger, adjust, open_ledger, program, purchase
from tests.meeting import codes, meet
from tests.rewards import LAMP, Shop
from tests.vault import VAULT

UNITS = 20
VOUCHERS = 300


async def crowd(ledger: Ledger, number: int) -> list[str]:
    """Members with 1000 points each."""
    members = [f"m{at}" for at in range(number)]
    await ledger.enrol(*members)
    await ledger.all(*(adjust(1000, member) for member in members))
    return members


async def lamps(ledger: Ledger) -> Shop:
    shop = Shop(ledger)
    await shop.put("lamp", LAMP, UNITS)
    return shop


@pytest.mark.parametrize("alone", [False, True])
async def test_two_hundred_tills_at_once_for_twenty_units(database_url: str, alone: bool) -> None:
    async with open_ledger(database_url, program()) as ledger:
        members, shop = await crowd(ledger, 200), await lamps(ledger)
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            claims = [Claim(f"c-{member}", "lamp", member) for member in members]
            outcomes = await meet([ledger.engine, other], claims, alone=alone)
            assert codes(outcomes) == {"created": UNITS, "out-of-stock": 180}
            # Who got one keeps it, who got none has paid nothing.
            again = await meet([other], claims)
            assert codes(again) == {"replayed": UNITS, "out-of-stock": 180}
        finally:
            await other.close()
        assert await shop.left("lamp") == 0
        paid = [await ledger.available(member) for member in members]
        assert (paid.count(700), paid.count(1000)) == (UNITS, 180)
        given = {one.voucher.code for one in outcomes if not isinstance(one, LoyaltyError)}
        assert len(given) == UNITS


async def test_the_same_claim_fifty_times_at_once_is_one(database_url: str) -> None:
    async with open_ledger(database_url, program()) as ledger:
        (member,), shop = await crowd(ledger, 1), await lamps(ledger)
        other = await Engine.open(database_url, VAULT, pool_size=4)
        try:
            for alone in (False, True):
                outcomes = await meet(
                    [ledger.engine, other], [Claim(f"c-{alone}", "lamp", member)] * 50, alone=alone
                )
                assert codes(outcomes) == {"created": 1, "replayed": 49}
                assert len({outcome.body for outcome in outcomes}) == 1
        finally:
            await other.close()
        assert await shop.left("lamp") == UNITS - 2
        assert await ledger.available(member) == 400


async def test_a_voucher_used_fifty_times_at_once_is_used_once_and_cancelled_or_used_never_both(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program()) as ledger:
        (member,), shop = await crowd(ledger, 1), await lamps(ledger)
        await ledger.do(adjust(1000, member))

        async def use(code: str, use_id: str) -> str:
            try:
                return "replayed" if (await shop.use(code, use_id))[1] else "used"
            except LoyaltyError as error:
                return error.code

        async def cancel(claim_id: str) -> str:
            try:
                return "again" if (await shop.cancel(claim_id)).replayed else "cancelled"
            except LoyaltyError as error:
                return error.code

        code = (await shop.claim("lamp", member, "c1")).voucher.code
        done = await asyncio.gather(*(use(code, f"u{at % 5}") for at in range(50)))
        assert (done.count("used"), done.count("replayed"), done.count("voucher-used")) == (1, 9, 40)
        for at in range(2, 5):
            code = (await shop.claim("lamp", member, f"c{at}")).voucher.code
            tasks = [use(code, f"v{at}"), *(cancel(f"c{at}") for _ in range(3)), use(code, f"v{at}")]
            random.Random(at).shuffle(tasks)
            ended = set(await asyncio.gather(*tasks))
            assert ended in (
                {"used", "replayed", "voucher-used"},
                {"cancelled", "again", "voucher-cancelled"},
            )


async def test_the_same_use_sent_many_times_at_once_conflicts_with_no_other(database_url: str) -> None:
    """Two may both see the voucher open and meet at the index of use ids: seldom, so many vouchers are tried."""
    async with open_ledger(database_url, program()) as ledger:
        (member,), shop = await crowd(ledger, 1), await lamps(ledger)
        await shop.put("tea", RewardTerms("Tea", "gift", 1, unlimited=True))
        for at in range(VOUCHERS):
            code = (await shop.claim("tea", member)).voucher.code
            uses = await asyncio.gather(*(shop.use(code, f"u{at}") for _ in range(8)))
            assert sorted(replayed for _, replayed in uses) == [False] + [True] * 7


async def test_a_hot_rewards_row_stops_no_till_that_does_not_claim_it(database_url: str) -> None:
    async with open_ledger(database_url, program()) as ledger:
        members, shop = await crowd(ledger, 10), await lamps(ledger)
        await shop.put("other", RewardTerms("Other", "gift", 10), 5)
        owner = await connect_owner(database_url)
        try:
            async with owner.transaction():
                await owner.execute("select from reward_stock where reward_id = 'lamp' for update")
                waiting = asyncio.create_task(ledger.engine.submit(Claim("c1", "lamp", members[0])))
                await asyncio.sleep(0.2)
                async with asyncio.timeout(3):
                    for member in members[1:]:
                        await ledger.do(purchase(1000, member=member))
                    # Somebody else's server is not held up by this one's queue of claims either.
                    other = await Engine.open(database_url, VAULT, pool_size=2)
                    await other.submit(Claim("c2", "other", members[1]))
                    await other.close()
                assert not waiting.done()
            assert not (await waiting).replayed
        finally:
            await owner.close()


async def test_servers_cut_off_in_the_middle_lose_and_double_nothing(database_url: str) -> None:
    """Backends are ended again and again while 200 members claim 20 units; who got no answer asks again."""
    async with open_ledger(database_url, program()) as ledger:
        members, shop = await crowd(ledger, 200), await lamps(ledger)
        claims = [Claim(f"c-{member}", "lamp", member) for member in members]
        done = asyncio.Event()

        async def end_backends() -> int:
            owner, ended = await connect_owner(database_url), 0
            while not done.is_set() and ended < 8:
                ended += await owner.fetchval(
                    "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity"
                    " where application_name = 'loyalty' and datname = current_database() and state = 'active'"
                )
                await asyncio.sleep(0.01)
            await owner.close()
            return ended

        other = await Engine.open(database_url, VAULT, pool_size=4)
        killer = asyncio.create_task(end_backends())
        try:
            outcomes: list[Any] = []
            for start in range(0, 200, 25):
                outcomes += await meet([ledger.engine, other], claims[start : start + 25], alone=True)
            done.set()
            assert await killer > 0
            lost = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, Overloaded)]
            for at, outcome in zip(lost, await meet([other], [claims[at] for at in lost]), strict=True):
                outcomes[at] = outcome
        finally:
            await other.close()
        tally = codes(outcomes)
        assert tally["created"] + tally["replayed"] == UNITS
        assert tally["out-of-stock"] == 180
        assert await shop.left("lamp") == 0


@pytest.mark.parametrize("seed", range(3))
async def test_claims_cancellations_uses_and_deliveries_that_meet_end_as_a_model_says(
    database_url: str, seed: int
) -> None:
    """Any order is possible, but each must add up: the model counts what was acknowledged, and nothing else."""
    chance = random.Random(seed)
    async with open_ledger(database_url, program()) as ledger:
        members = await crowd(ledger, 12)
        shop = Shop(ledger)
        prices = {"a": 100, "b": 250}
        for reward, price in prices.items():
            await shop.put(reward, RewardTerms(reward, "gift", price), 6)
        stock, points = dict.fromkeys(prices, 6), dict.fromkeys(members, 1000)
        open_: dict[str, tuple[str, str, str]] = {}
        ended: set[str] = set()
        for round_ in range(8):
            requests: list[Request] = [
                Claim(f"c{round_}-{at}", chance.choice("ab"), chance.choice(members)) for at in range(14)
            ]
            gone = chance.sample(sorted(open_), min(5, len(open_)))
            requests += [Cancellation(claim_id) for claim_id in gone]
            chance.shuffle(requests)
            uses = [(open_[claim][2], f"u-{claim}") for claim in chance.sample(gone, len(gone) // 2)]
            outcomes, *used = await asyncio.gather(
                meet([ledger.engine], requests, alone=chance.random() < 0.5),
                *(_used(shop, *use) for use in uses),
            )
            delivered = chance.choice("ab")
            await shop.stock(delivered, 2)
            stock[delivered] += 2
            for request, outcome in zip(requests, outcomes, strict=True):
                if isinstance(outcome, LoyaltyError):
                    continue
                if isinstance(request, Claim):
                    price = prices[request.reward_id]
                    stock[request.reward_id] -= 1
                    points[request.member] -= price
                    open_[request.claim_id] = (request.reward_id, request.member, outcome.voucher.code)
                elif isinstance(request, Cancellation):
                    reward, member, _ = open_.pop(request.claim_id)
                    stock[reward] += 1
                    points[member] += prices[reward]
            for use_id in filter(None, used):
                ended.add(use_id)
                del open_[use_id.removeprefix("u-")]
            assert {reward: await shop.left(reward) for reward in prices} == stock
            assert min(stock.values()) >= 0
        assert {member: await ledger.available(member) for member in members} == points
        assert min(points.values()) >= 0
        statuses = [status for member in members for _, status in await shop.statuses(member)]
        assert statuses.count("open") == len(open_)
        assert statuses.count("used") == len(ended)


async def _used(shop: Shop, code: str, use_id: str) -> str | None:
    try:
        await shop.use(code, use_id)
    except VoucherCancelled:
        return None
    return use_id
