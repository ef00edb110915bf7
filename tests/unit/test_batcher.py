"""The queue before the write path: batches form by themselves, and nobody waits for another's account."""

import asyncio
from collections.abc import Sequence

import pytest

from loyalty.engine import batcher
from loyalty.engine.answers import Answer
from loyalty.engine.batcher import MOST, SECOND_FROM, Batcher
from loyalty.engine.item import Item
from loyalty.engine.turns import OF_ONE
from loyalty.errors import Overloaded
from loyalty.types import Redemption


class Ledger:
    """Takes batches and answers each when it is told to. `locked`: members whose accounts somebody else holds."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[str], bool]] = []
        self.locked: set[str] = set()
        self._commits: list[asyncio.Event] = []

    async def run(self, items: Sequence[Item], patient: bool) -> None:
        members = [str(item.address.member) for item in items]
        self.batches.append((members, patient))
        commit = asyncio.Event()
        self._commits.append(commit)
        await commit.wait()
        for item, member in zip(items, members, strict=True):
            if patient or member not in self.locked:
                item.outcome = Answer(member.encode(), False)

    async def commit(self, batch: int) -> None:
        """Lets a batch come to its end, and those that it answers go on."""
        self._commits[batch].set()
        for _ in range(5):
            await asyncio.sleep(0)

    async def commit_all(self, batcher: Batcher) -> None:
        """Lets everything come to its end."""
        while batcher.served_within(0):
            for batch in range(len(self._commits)):
                await self.commit(batch)


def _redemption(member: str, number: int) -> Redemption:
    return Redemption(f"{member}-{number}", member, points=1)


class Shop:
    """Clients that send redemptions to a batcher."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.batcher = Batcher(self.ledger.run)

    async def send(self, *members: str, client: str = "till") -> list["asyncio.Task[Answer]"]:
        sent = [
            asyncio.create_task(self.batcher.submit(_redemption(member, number), client=client))
            for number, member in enumerate(members)
        ]
        for _ in range(3):
            await asyncio.sleep(0)
        return sent


async def test_what_queued_while_a_batch_was_under_way_goes_together_into_the_next() -> None:
    shop = Shop()
    await shop.send("a")
    sent = await shop.send("b", "c", "d")
    assert shop.ledger.batches == [(["a"], False)]
    await shop.ledger.commit(0)
    assert shop.ledger.batches[1:] == [(["b", "c", "d"], False)]
    await shop.ledger.commit(1)
    assert [task.result().body for task in sent] == [b"b", b"c", b"d"]
    await shop.batcher.drain()
    assert shop.batcher.waiting == 0


async def test_a_flood_about_one_account_takes_a_few_places_of_each_batch_and_no_till_waits_for_it() -> None:
    shop = Shop()
    flood = await shop.send(*["hot"] * 200, client="flood")
    assert [members for members, _ in shop.ledger.batches] == [["hot"]], "the first came alone"
    tills = [f"m{number}" for number in range(SECOND_FROM)]
    sent = await shop.send(*tills)
    assert shop.ledger.batches[1] == (tills, False), (
        "the second batch is not one for the account that is under way"
    )
    await shop.ledger.commit(1)
    assert all(task.done() for task in sent), "answered before the batch that came first"
    batch, done = 0, 1
    while not all(task.done() for task in flood):
        await shop.ledger.commit(batch)
        batch = max(batch + 1, 2)
        done = max(done, len(shop.ledger.batches[-1][0]))
    assert done == OF_ONE


async def test_a_client_with_hundreds_of_requests_leaves_half_of_the_next_batch_to_another() -> None:
    shop = Shop()
    await shop.send("first")
    await shop.send(*(f"g{number}" for number in range(500)), client="greedy")
    assert len(shop.ledger.batches) == 2
    await shop.send(*(f"t{number}" for number in range(40)), client="tills")
    await shop.ledger.commit(0)
    members, _ = shop.ledger.batches[2]
    assert len(members) == MOST
    assert sum(member.startswith("t") for member in members) == MOST // 2
    await shop.ledger.commit_all(shop.batcher)
    assert sum(len(members) for members, _ in shop.ledger.batches) == 541


async def test_a_request_whose_account_somebody_has_locked_is_put_aside_and_its_neighbours_are_answered() -> (
    None
):
    shop = Shop()
    shop.ledger.locked.add("hot")
    sent = await shop.send("a", "hot", "b")
    await shop.ledger.commit(0)
    await shop.ledger.commit(1)
    assert shop.ledger.batches == [(["a"], False), (["hot", "b"], False), (["hot"], True)]
    assert [task.done() for task in sent] == [True, False, True]
    later = await shop.send("hot", "c")
    assert shop.ledger.batches[3] == (["c"], False), (
        "what comes for that account waits behind it, others do not"
    )
    await shop.ledger.commit(3)
    await shop.ledger.commit(2)
    assert [task.done() for task in (*sent, *later)] == [True, True, True, False, True]
    assert shop.ledger.batches[4] == (["hot"], False)
    shop.ledger.locked.clear()
    await shop.ledger.commit(4)
    assert later[0].result().body == b"hot"


async def test_too_many_requests_about_one_account_are_refused_and_others_are_let_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batcher, "QUEUE_OF_ONE", 8)
    shop = Shop()
    flood = await shop.send(*["hot"] * 20)
    refused = [task for task in flood if task.done()]
    assert len(refused) == 20 - 1 - 8
    for task in refused:
        error = task.exception()
        assert isinstance(error, Overloaded)
        assert error.facts["retry_after"] >= 1
    (till,) = await shop.send("till")
    for batch in range(3):
        await shop.ledger.commit(batch)
    assert till.result().body == b"till"
    assert all(task.done() for task in flood)
