"""DESIGN.md section 3, promise 11: the balance, lots and tier of any past instant, as known then and as now known."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from loyalty.engine import liability
from loyalty.errors import FutureTime, LoyaltyError
from loyalty.types import Capture, Release, Request, Reversal, UnlinkedReturn
from tests.builders import (
    START,
    Ledger,
    adjust,
    back,
    expiry,
    fresh,
    goods_back,
    hold,
    line,
    open_ledger,
    program,
    purchase,
    redeem,
)

HOUR = timedelta(hours=1)


def plain(balance: Any) -> dict[str, Any]:
    told = msgspec.to_builtins(balance)
    told.pop("as_of")
    return dict(told)


def some_request(rng: Random, now: Any, ids: dict[str, list[str]]) -> Request:
    """Any request of two members; most are fine, some are refused."""
    member = rng.choice(("ada", "bob"))
    kind = rng.randrange(10)
    if kind < 4:
        bought = purchase(
            [line(rng.randrange(1, 400) * 100, rng.randrange(1, 4)) for _ in range(rng.randrange(1, 4))],
            at=now - rng.randrange(40) * rng.choice((HOUR, 24 * HOUR)),
            member=member,
        )
        ids["p"].append(bought.purchase_id)
        return bought
    if kind == 4 and ids["p"]:
        return goods_back(rng.choice(ids["p"]), now, *([back(1, amount=50)] if rng.random() < 0.5 else []))
    if kind == 5:
        taken = hold(rng.randrange(1, 120), member, seconds=rng.choice((60, 7200, 86400)))
        ids["h"].append(taken.redemption_id)
        return taken
    if kind == 6 and ids["h"]:
        ended = rng.choice(ids["h"])
        return rng.choice((Capture(ended), Capture(ended, rng.randrange(1, 60)), Release(ended)))
    if kind == 7:
        spent = redeem(rng.randrange(1, 150), member)
        ids["h"].append(spent.redemption_id)
        return spent
    if kind == 8 and ids["h"]:
        return Reversal(rng.choice(ids["h"]), rng.randrange(1, 50), fresh("v"))
    if rng.random() < 0.5:
        return UnlinkedReturn(fresh("u"), member, now, (line(rng.randrange(1, 9000)),))
    return adjust(rng.choice((-30, 40, 90)), member)


POLICIES = {
    "after": f"{expiry('after', days=20)}\npending_days = 2\nrestore_grace_days = 3",
    "inactivity": expiry("inactivity", days=6),
    "forgive": f'{expiry("after", days=9)}\nshortfall = "forgive"\nlate_grace_days = 1',
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", [1, 2])
async def test_what_was_told_then_is_told_again_by_known_at(
    database_url: str, policy: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Balances are written down as they are told along the way; at the end the past tells every one of them again,
    whether a batch ran or not."""
    rng = Random(seed)
    tiers = """
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 60000 }
"""
    source = program(
        POLICIES[policy], tiers=tiers, policy='validity_months = 1\nwindow = { kind = "rolling", months = 1 }'
    )
    async with open_ledger(database_url, source, "ada", "bob") as ledger:
        told: list[tuple[str, Any]] = []
        ids: dict[str, list[str]] = {"p": [], "h": []}
        for step in range(90):
            now = await ledger.engine.now()
            with suppress(LoyaltyError):
                await ledger.engine.submit(some_request(rng, now, ids))
            if rng.random() < 0.25:
                await ledger.move_clock(rng.choice((HOUR, 26 * HOUR, 140 * HOUR)))
            if rng.random() < 0.1:
                await ledger.engine.expire()
            for member in ("ada", "bob"):
                told.append((member, await ledger.balance(member)))
            if step == 60:
                await ledger.engine.merge("bob", "ada")
                told = [(name, balance) for name, balance in told if name == "ada"]
        for member, then in told:
            again = await ledger.balance(member, known_at=then.as_of)
            assert plain(again) == plain(then), then.as_of
        await assert_liability_of_sums_is_that_of_books(
            ledger, [then.as_of for _, then in told], rng, monkeypatch
        )


async def assert_liability_of_sums_is_that_of_books(
    ledger: Ledger, instants: list[datetime], rng: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most accounts are added by their sums; worked out one by one they come to the same."""
    add_plain, added = liability._add_plain, []

    async def counted(*args: Any) -> list[int]:
        others = await add_plain(*args)
        added.append(2 - len(others))
        return others

    async def none(_connection: Any, _shard: int, range_: tuple[int, int], *_: Any) -> list[int]:
        return list(range(range_[0], range_[1] + 1))

    for _ in range(15):
        known_at = rng.choice(instants)
        as_of = known_at - rng.choice((0, 0, 30, 200)) * HOUR
        monkeypatch.setattr(liability, "_add_plain", counted)
        by_sums = await ledger.engine.liability(as_of, known_at)
        monkeypatch.setattr(liability, "_add_plain", none)
        by_books = await ledger.engine.liability(as_of, known_at)
        assert msgspec.to_builtins(by_sums) == msgspec.to_builtins(by_books), (as_of, known_at)
        assert by_sums.proven
    assert any(added), "no account was added by its sums"


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url, program(), "ada") as opened:
        yield opened


async def test_a_late_purchase_is_in_the_past_as_now_known_and_not_as_known_then(ledger: Ledger) -> None:
    bought_at = START - 48 * HOUR
    before = await ledger.engine.now()
    await ledger.do(purchase(10000, at=bought_at))
    known = await ledger.balance("ada", as_of=before)
    then = await ledger.balance("ada", as_of=before, known_at=before)
    earlier = await ledger.balance("ada", as_of=bought_at - HOUR)
    assert (known.available, then.available, earlier.available) == (100, 0, 0)


async def test_the_liability_of_an_instant_is_what_the_balances_were(ledger: Ledger) -> None:
    await ledger.enrol("bob")
    await ledger.do(purchase(50000))
    await ledger.do(purchase(20000, member="bob"))
    await ledger.do(hold(100))
    at = await ledger.engine.now()
    then = await ledger.engine.liability()
    await ledger.do(redeem(200, "bob"))
    await ledger.engine.merge("bob", "ada")
    again = await ledger.engine.liability(known_at=at)
    assert (then.outstanding, then.held, then.issued, then.redeemed) == (700, 100, 700, 0)
    assert (again.outstanding, again.held, again.issued, again.redeemed) == (700, 100, 700, 0)
    assert again.proven
    now = await ledger.engine.liability()
    same = await ledger.engine.liability(as_of=now.as_of)
    for field in ("outstanding", "held", "debt", "balance", "issued", "redeemed", "by_tier", "by_expiry"):
        assert getattr(same, field) == getattr(now, field), field


async def test_the_future_is_not_known(ledger: Ledger) -> None:
    later = await ledger.engine.now() + HOUR
    for asked in ({"as_of": later}, {"known_at": later}):
        with pytest.raises(FutureTime):
            await ledger.balance("ada", **asked)
