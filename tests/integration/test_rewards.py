"""Rewards: points into vouchers, each used once; a refusal costs nothing, and what is taken back is whole again."""

from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest

from loyalty.engine import catalogue, vouchers
from loyalty.errors import (
    IdConflict,
    InsufficientPoints,
    InvalidRequest,
    MemberBlocked,
    OutOfStock,
    RewardNotAvailable,
    RewardNotForTier,
    UnknownClaim,
    UnknownMember,
    UnknownReward,
    UnknownVoucher,
    VoucherCancelled,
    VoucherExpired,
    VoucherUsed,
)
from loyalty.rewards.codes import ALPHABET
from loyalty.rewards.model import RewardTerms
from loyalty.types import MAX_AMOUNT, Cancellation, Claim
from tests.builders import START, adjust, expiry, open_ledger, program, purchase
from tests.rewards import CASH, LAMP, Shop


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    """Ada and Bob with 1000 points each, and two lamps in stock."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        for member in ("ada", "bob"):
            await ledger.do(adjust(1000, member))
        shop = Shop(ledger)
        await shop.put("lamp", LAMP, 2)
        await shop.put("cash", CASH)
        yield shop


# -- claims ------------------------------------------------------------------------------------------------------------


async def test_a_claim_takes_points_and_a_unit_and_gives_a_code(shop: Shop) -> None:
    claimed = await shop.claim("lamp", id="c1")
    assert (claimed.points, claimed.name, claimed.kind, claimed.amount) == (300, "Desk lamp", "gift", None)
    assert claimed.balance.available == 700
    assert claimed.voucher.valid_until is None
    assert set(claimed.voucher.code.replace("-", "")) <= set(ALPHABET)
    assert await shop.ledger.entries() == [("adjust", 1000), ("redeem", -300)]
    assert await shop.left("lamp") == 1
    assert await shop.statuses() == [("c1", "open")]
    entries = await shop.engine.entries("ada")
    assert entries.entries[0].claim_id == "c1"


async def test_the_same_claim_again_gets_the_same_bytes_and_takes_nothing(shop: Shop) -> None:
    first = await shop.claim("lamp", id="c1")
    again = await shop.claim("lamp", id="c1")
    assert (again.replayed, again.body) == (True, first.body)
    assert await shop.ledger.available() == 700
    assert await shop.left("lamp") == 1
    for other in (Claim("c1", "cash", "ada"), Claim("c1", "lamp", "bob")):
        await shop.ledger.refused(other, IdConflict)


async def test_each_refusal_has_its_own_problem_and_costs_nothing(shop: Shop) -> None:
    today = START.date()
    await shop.put("gold", RewardTerms("Gold only", "service", 10, tiers=("silver", "gold")), 5)
    await shop.put("early", RewardTerms("Soon", "gift", 10, from_=today + timedelta(days=1)), 5)
    await shop.put("late", RewardTerms("Over", "gift", 10, until=today), 5)
    await shop.put("dear", RewardTerms("Dear", "gift", 1001), 5)
    await shop.put("none", RewardTerms("None left", "gift", 10))
    refused = shop.ledger.refused
    found = await refused(Claim("x", "gold", "ada"), RewardNotForTier)
    assert found.facts == {"tier": "ordinary", "tiers": ["silver", "gold"]}
    await refused(Claim("x", "early", "ada"), RewardNotAvailable)
    await refused(Claim("x", "late", "ada"), RewardNotAvailable)
    short = await refused(Claim("x", "dear", "ada"), InsufficientPoints)
    assert short.facts == {"available": 1000, "missing": 1}
    await refused(Claim("x", "none", "ada"), OutOfStock)
    await refused(Claim("x", "nothing", "ada"), UnknownReward)
    await refused(Claim("x", "lamp", "nobody"), UnknownMember)
    await shop.engine.pool.execute(
        "update account set status = 'blocked' where account = (select account from member where member_id = 'bob')"
    )
    await refused(Claim("x", "lamp", "bob"), MemberBlocked)
    assert await shop.ledger.available() == 1000
    assert [await shop.left(reward) for reward in ("gold", "early", "late", "dear", "lamp")] == [
        5,
        5,
        5,
        5,
        2,
    ]
    # The id of what was refused is free.
    assert (await shop.claim("lamp", id="x")).points == 300


async def test_dates_are_local_days(shop: Shop) -> None:
    await shop.put(
        "day", RewardTerms("One day", "gift", 1, from_=date(2026, 3, 3), until=date(2026, 3, 4)), 5
    )
    for at, is_open in (
        ("2026-03-02T15:59:59Z", False),
        ("2026-03-02T16:00:00Z", True),
        ("2026-03-03T15:59:50Z", True),
        ("2026-03-03T16:00:00Z", False),
    ):
        await shop.ledger.move_clock(START.fromisoformat(at))
        if is_open:
            await shop.claim("day")
        else:
            await shop.ledger.refused(Claim("no", "day", "ada"), RewardNotAvailable)


async def test_the_tier_is_that_of_now(shop: Shop) -> None:
    await shop.put("silver", RewardTerms("Silver", "gift", 10, tiers=("silver",)), 5)
    await shop.ledger.do(purchase(500_000))
    await shop.claim("silver")


async def test_rewards_need_no_rate_for_points(database_url: str) -> None:
    async with open_ledger(database_url, program(redemption=""), "ada") as ledger:
        await ledger.do(adjust(300))
        shop = Shop(ledger)
        await shop.put("lamp", LAMP, 1)
        await shop.claim("lamp")


async def test_one_upload_claims_the_last_unit_once_and_a_claim_can_be_cancelled_beside_it(
    shop: Shop,
) -> None:
    done = await shop.ledger.all(
        Claim("c1", "lamp", "ada"),
        Claim("c2", "lamp", "bob"),
        Claim("c3", "lamp", "ada"),
        Cancellation("c1"),
        Claim("c4", "lamp", "bob"),
    )
    assert [type(one).__name__ for one in done] == [
        "SimpleNamespace", "SimpleNamespace", "OutOfStock", "SimpleNamespace", "SimpleNamespace",
    ]  # fmt: skip
    assert await shop.left("lamp") == 0
    assert (await shop.ledger.available(), await shop.ledger.available("bob")) == (1000, 400)


# -- cancellation ------------------------------------------------------------------------------------------------------


async def test_a_cancelled_claim_gives_back_points_to_their_lives_and_the_unit(database_url: str) -> None:
    lives = expiry(months=12)
    async with open_ledger(database_url, program(lives), "ada") as ledger:
        shop = Shop(ledger)
        await ledger.do(purchase(20_000))
        await ledger.move_clock(timedelta(days=10))
        await ledger.do(purchase(20_000, START + timedelta(days=10)))
        before = await ledger.lots()
        await shop.put("lamp", LAMP, 1)
        claimed = await shop.claim("lamp", id="c1")
        done = await shop.cancel("c1")
        assert (done.points, done.reward_id, done.balance.available) == (300, "lamp", 400)
        assert await ledger.lots() == before
        assert await shop.left("lamp") == 1
        assert await shop.status(claimed.voucher.code) == "cancelled"
        assert (await ledger.entries())[-2:] == [("redeem", -300), ("restore", 300)]
        again = await shop.cancel("c1")
        assert (again.replayed, again.body) == (True, done.body)
        with pytest.raises(VoucherCancelled):
            await shop.use(claimed.voucher.code)


async def test_what_was_used_cannot_be_cancelled(shop: Shop) -> None:
    claimed = await shop.claim("lamp", id="c1")
    await shop.use(claimed.voucher.code)
    found = await shop.ledger.refused(Cancellation("c1"), VoucherUsed)
    assert found.facts["use_id"] == "u1"
    await shop.ledger.refused(Cancellation("c-none"), UnknownClaim)
    assert await shop.left("lamp") == 1


# -- vouchers ----------------------------------------------------------------------------------------------------------


async def test_a_voucher_is_used_once_and_the_same_use_again_replays(shop: Shop) -> None:
    code = (await shop.claim("cash")).voucher.code
    first, replayed = await shop.use(code, "u1", "p-7")
    assert (first.amount, first.purchase_id, replayed) == (1000, "p-7", False)
    # However it is typed.
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert await shop.use(typed, "u1", "p-7") == (first, True)
    with pytest.raises(IdConflict):
        await shop.use(code, "u1", "p-8")
    with pytest.raises(VoucherUsed) as used:
        await shop.use(code, "u2")
    assert used.value.facts["use_id"] == "u1"
    assert await shop.status(code) == "used"


async def test_a_use_id_is_good_for_one_voucher(shop: Shop) -> None:
    one, other = [(await shop.claim("lamp")).voucher.code for _ in range(2)]
    await shop.use(one, "u1")
    with pytest.raises(IdConflict):
        await shop.use(other, "u1")
    await shop.use(other, "u2")
    with pytest.raises(IdConflict):
        await shop.use(other, "u1")


async def test_a_voucher_is_valid_to_the_end_of_its_last_local_day(shop: Shop) -> None:
    claimed = await shop.claim("cash")
    assert claimed.voucher.valid_until == "2026-04-01T16:00:00Z"
    await shop.ledger.move_clock(START.fromisoformat("2026-04-01T16:00:00Z"))
    with pytest.raises(VoucherExpired):
        await shop.use(claimed.voucher.code)
    assert await shop.status(claimed.voucher.code) == "expired"
    other = await shop.claim("lamp", "bob")
    await shop.ledger.move_clock(timedelta(days=3000))
    await shop.use(other.voucher.code)


@pytest.mark.parametrize(
    "code", ["", "short", "UUUU-UUUU-UUUU-UUUU", "0000-0000-0000-0000", "é" * 16, "\x00" * 16]
)
async def test_a_code_that_is_none_is_unknown(shop: Shop, code: str) -> None:
    with pytest.raises(UnknownVoucher):
        await shop.use(code)
    with pytest.raises(UnknownVoucher):
        await vouchers.voucher(shop.engine, code)


# -- the catalogue -----------------------------------------------------------------------------------------------------


async def test_versions_are_kept_and_old_claims_stay_as_they_were(shop: Shop) -> None:
    claimed = await shop.claim("lamp", id="c1")
    _, again = await catalogue.put_reward(shop.engine, "lamp", LAMP, "k-ops")
    dearer, is_new = await catalogue.put_reward(
        shop.engine, "lamp", RewardTerms("Lamp", "gift", 400), "k-ops"
    )
    assert (again, is_new, dearer.version, dearer.stock) == (False, False, 2, 1)
    assert (await shop.claim("lamp", "bob")).points == 400
    assert (await shop.cancel("c1")).points == 300
    found = await vouchers.voucher(shop.engine, claimed.voucher.code)
    assert (found.name, found.points) == ("Desk lamp", 300)


async def test_a_reward_may_become_unlimited_and_counted_again(shop: Shop) -> None:
    counted = await shop.claim("lamp", id="c1")
    await shop.put("lamp", RewardTerms("Desk lamp", "gift", 10, unlimited=True))
    assert await shop.left("lamp") is None
    await shop.claim("lamp", id="c2")
    await shop.put("lamp", LAMP)
    assert await shop.left("lamp") == 1
    await shop.cancel("c2")
    assert await shop.left("lamp") == 1
    await shop.cancel("c1")
    assert await shop.left("lamp") == 2
    assert counted.points == 300


async def test_stock_moves_have_ids_and_never_go_below_zero(shop: Shop) -> None:
    moved, replayed = await shop.stock("lamp", 5, "s1")
    assert (moved.stock, replayed) == (7, False)
    assert await shop.stock("lamp", 5, "s1") == (moved, True)
    with pytest.raises(IdConflict):
        await shop.stock("lamp", 6, "s1")
    with pytest.raises(IdConflict):
        await shop.stock("cash", 5, "s1")
    with pytest.raises(OutOfStock) as short:
        await shop.stock("lamp", -8)
    assert short.value.facts == {"stock": 7}
    with pytest.raises(InvalidRequest):
        await shop.stock("lamp", 0)
    with pytest.raises(UnknownReward):
        await shop.stock("nothing", 1)
    await shop.stock("lamp", -7)
    assert await shop.left("lamp") == 0


async def test_a_stock_stays_within_what_can_be_counted_exactly(shop: Shop) -> None:
    await shop.stock("lamp", MAX_AMOUNT - 2, "s1")
    with pytest.raises(InvalidRequest, match="at most"):
        await shop.stock("lamp", 1)
    assert await shop.left("lamp") == MAX_AMOUNT
    assert (await shop.stock("lamp", MAX_AMOUNT - 2, "s1"))[1]


WRONG = {
    "amount": RewardTerms("n", "cash", 1),
    "amount ": RewardTerms("n", "gift", 1, 5),
    "tiers[0]": RewardTerms("n", "gift", 1, tiers=("platinum",)),
    "until": RewardTerms("n", "gift", 1, from_=date(2026, 1, 2), until=date(2026, 1, 2)),
    "name": RewardTerms("a\x00b", "gift", 1),
}


@pytest.mark.parametrize("path", WRONG)
async def test_terms_that_cannot_be_meant_are_refused(shop: Shop, path: str) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        await shop.put("bad", WRONG[path])
    assert [error.path for error in wrong.value.errors] == [path.strip()]


async def test_members_are_shown_what_they_may_claim(shop: Shop) -> None:
    await shop.put("gold", RewardTerms("Gold", "gift", 10, tiers=("gold",)), 5)
    await shop.put("over", RewardTerms("Over", "gift", 10, until=START.date()), 5)
    await shop.put("none", RewardTerms("None", "gift", 10))
    await shop.put("dear", RewardTerms("Dear", "gift", 5000), 5)
    every = (await catalogue.rewards(shop.engine)).rewards
    assert {one.reward_id: one.open for one in every} == {
        "cash": True, "dear": True, "gold": True, "lamp": True, "none": True, "over": False,
    }  # fmt: skip
    mine = (await catalogue.rewards_for(shop.engine, "ada")).rewards
    assert [(one.reward_id, one.affordable, one.stock) for one in mine] == [
        ("cash", True, None), ("dear", False, 5), ("lamp", True, 2),
    ]  # fmt: skip


# -- people ------------------------------------------------------------------------------------------------------------


async def test_claims_and_vouchers_go_with_a_merge(shop: Shop) -> None:
    code = (await shop.claim("lamp", id="c1")).voucher.code
    await shop.claim("lamp", "bob", id="c2")
    await shop.engine.merge("ada", "bob")
    assert sorted(await shop.statuses("bob")) == [("c1", "open"), ("c2", "open")]
    assert (await vouchers.voucher(shop.engine, code)).member_id == "bob"
    assert (await shop.claim("lamp", "ada", id="c1")).replayed
    await shop.cancel("c1")
    assert await shop.ledger.available("bob") == 1700
    await shop.use((await vouchers.vouchers(shop.engine, "bob")).vouchers[0].code)


async def test_who_is_forgotten_gives_up_what_was_not_used(shop: Shop) -> None:
    open_code = (await shop.claim("lamp", id="c1")).voucher.code
    used = (await shop.claim("lamp", id="c2")).voucher.code
    await shop.use(used)
    await shop.engine.merge("ada", "bob")
    assert await shop.engine.erase("bob") == 1700
    assert await shop.left("lamp") == 1
    assert (await shop.status(open_code), await shop.status(used)) == ("cancelled", "used")
