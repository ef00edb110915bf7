"""A batch is its requests one after another: the same stream, once as one upload and once one by one, answers alike."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from loyalty.db.migrate import migrate
from loyalty.engine.answers import Answer
from loyalty.errors import LoyaltyError
from loyalty.types import (
    Capture,
    Purchase,
    PurchaseRedemption,
    Release,
    Request,
    Reversal,
    UnlinkedReturn,
)
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
    set_clock,
)

PROGRAM = program(
    expiry(days=30) + "\npending_days = 1\nrestore_grace_days = 3",
    redemption="points = 1\namount = 10\nmin_points = 5\nmax_basket_share = 0.8",
    tiers='[[tiers]]\nid = "low"\n[[tiers]]\nid = "mid"\nqualify = { spend_amount = 9000 }\n'
    '[[tiers]]\nid = "top"\nqualify = { spend_amount = 20000 }\n',
    policy='validity_months = 1\nwindow = { kind = "rolling", months = 1 }\non_return = "immediate"',
    rules=BASE
    + """
[[rules]]
id = "mid-x2"
kind = "multiplier"
factor = 2
when = { tier = ["mid", "top"] }
[[rules]]
id = "welcome"
kind = "flat"
points = 20
when = { first_purchase = true }
[[rules]]
id = "basket"
kind = "flat"
points = 7
when = { min_amount = 3000 }
limit = { per_member = 3, per_member_day = 1, per_member_points = 18 }
""",
)
_examples = count(1)

OPERATION = st.tuples(
    st.sampled_from(
        [
            "buy",
            "buy",
            "buy",
            "pay",
            "back",
            "back",
            "loose",
            "redeem",
            "hold",
            "capture",
            "release",
            "reverse",
            "adjust",
        ]
    ),
    st.integers(0, 1),  # member
    st.integers(0, 40),  # days ago, or points
    st.integers(0, 9),  # which one before
    st.sampled_from(["new", "new", "new", "new", "again", "changed"]),
)
STREAM = st.lists(OPERATION, min_size=1, max_size=14)


@pytest.fixture
async def pair(database_url: str, empty_database_url: str) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two ledgers with the same program."""
    await migrate(empty_database_url)
    async with open_ledger(database_url, PROGRAM) as one, open_ledger(empty_database_url, PROGRAM) as other:
        yield one, other
        for ledger in (one, other):  # each example began at the same instant
            await set_clock(ledger.url, START + timedelta(days=50))


class Streams:
    """Makes requests of operations; they name what came before them in the stream."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.members = [f"{prefix}-a", f"{prefix}-b"]
        self.made: list[Request] = []
        self.redeemed: dict[str, list[str]] = {member: [] for member in self.members}

    def before(self, which: int, *kinds: type) -> Any:
        found = [made for made in self.made if isinstance(made, kinds)]
        return found[-1 - which % len(found)] if found else None

    def redeeming(self, id: str, member: str) -> str:
        """Remembers a redemption's id for its endings. (Between members no order is promised.)"""
        self.redeemed[member].append(id)
        return id

    def make(self, operation: tuple[str, int, int, int, str], now: Any) -> Request | None:
        kind, who, much, which, repeat = operation
        if repeat == "again":
            return self.before(which, object)
        if repeat == "changed" and (earlier := self.before(which, Purchase)) is not None:
            return msgspec.structs.replace(earlier, channel="changed")
        request = self._new(kind, self.members[who], much, which, now)
        if request is not None:
            self.made.append(request)
        return request

    def _new(self, kind: str, member: str, much: int, which: int, now: Any) -> Request | None:
        id = f"{self.prefix}-{len(self.made)}"
        at = now - timedelta(days=much)
        bought = self.before(which, Purchase)
        known = self.redeemed[member]
        taken = known[-1 - which % len(known)] if known else None
        if kind in ("buy", "pay"):
            pay = None
            if kind == "pay":
                taken = taken if taken and which % 2 else self.redeeming(f"{id}r", member)
                pay = PurchaseRedemption(taken, points=5 + much)
            lines = (line(1000 + 777 * which), line(100 * much, 3))
            return purchase(lines, at, member, id, pay)
        if kind == "back" and bought is not None:
            lines_back = [(), (back(1, amount=500),), (back(2, 1),), (back(1), back(2, 2))][which % 4]
            return goods_back(bought.purchase_id, now, *lines_back, id=id)
        if kind == "loose":
            return UnlinkedReturn(id, member, at, (line(100 * much),))
        if kind == "redeem":
            return redeem(much, member, self.redeeming(id, member))
        if kind == "hold":
            return hold(max(much, 1), member, self.redeeming(id, member), 3600 * (1 + which * 10))
        if taken is not None and kind != "adjust":
            if kind == "capture":
                return Capture(taken, None if which % 2 else max(much, 1))
            if kind == "release":
                return Release(taken)
            if kind == "reverse":
                return Reversal(taken, max(much, 1), id)
        return adjust(much - 20, member, id) if kind == "adjust" else None


def told(outcome: Answer | LoyaltyError) -> Any:
    """What was answered, without what a clock that ticks makes different."""
    if isinstance(outcome, LoyaltyError):
        return outcome.code, outcome.facts
    answer = msgspec.json.decode(outcome.body)
    answer.pop("recorded_at", None)
    answer.pop("until", None)
    return answer, outcome.replayed


@settings(max_examples=25)
@given(first=STREAM, days=st.integers(0, 35), second=STREAM)
async def test_a_batch_is_its_requests_one_after_another(
    pair: tuple[Ledger, Ledger], first: list[Any], days: int, second: list[Any]
) -> None:
    streams = Streams(f"e{next(_examples)}")
    for ledger in pair:
        await set_clock(ledger.url, START)
        await ledger.enrol(*streams.members)
    together, alone = pair
    now = START
    for operations in (first, second):
        made = [request for operation in operations if (request := streams.make(operation, now)) is not None]
        note(f"at {now}: {made}")
        for ledger in pair:
            await set_clock(ledger.url, now)
        batch = [told(outcome) for outcome in await together.engine.submit_many(made)]
        single = [told((await alone.engine.submit_many([request]))[0]) for request in made]
        for request, one, other in zip(made, batch, single, strict=True):
            assert one == other, request
        assert "internal" not in {answer[0] for answer in batch if isinstance(answer[0], str)}
        now += timedelta(days=days, minutes=30)  # never on the edge of what the first stream began
    for member in streams.members:
        assert await together.points(member) == await alone.points(member)
        assert await together.tier(member) == await alone.tier(member)
        assert await together.entries(member) == await alone.entries(member)
