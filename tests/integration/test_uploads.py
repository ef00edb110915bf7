"""Uploads: order within a member, duplicates inside, items that are refused or poisoned and spoil no other."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest

from loyalty.engine import batch, loading
from loyalty.errors import LoyaltyError
from loyalty.ledger.book import Book
from loyalty.types import PurchaseRedemption, Request, Reversal
from tests.builders import START, adjust, goods_back, hold, line, open_ledger, program, purchase, redeem


def codes(outcomes: list[Any]) -> list[str]:
    return [
        outcome.code if isinstance(outcome, LoyaltyError) else "again" if outcome.replayed else "ok"
        for outcome in outcomes
    ]


async def test_duplicates_inside_an_upload_have_one_effect_each(database_url: str) -> None:
    """The same key twice in one batch (formance/stack#1633)."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        outcomes = await ledger.all(
            purchase(1000, id="p"),
            purchase(1000, id="p"),
            purchase(2000, id="p"),
            goods_back("p", id="t"),
            goods_back("p", id="t"),
            purchase(1000, id="p"),
        )
        assert codes(outcomes) == ["ok", "again", "id-conflict", "ok", "again", "again"]
        assert outcomes[0].body == outcomes[1].body == outcomes[5].body
        assert await ledger.points() == (0, 0, 0, 0)


async def test_a_till_does_not_wait_behind_a_greedy_upload(database_url: str) -> None:
    """Ten purchases at a till, one after another, are answered while thousands that came before them are posted."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        thousands = [purchase(1000) for _ in range(4000)]
        upload = asyncio.create_task(ledger.engine.submit_many(thousands))
        await asyncio.sleep(0)
        for _ in range(10):
            await ledger.do(purchase(1000, member="bob"))
        assert not upload.done()
        assert codes(list(await upload)) == ["ok"] * 4000
        assert await ledger.available("bob") == 100


async def test_an_upload_hides_no_refusal_and_posts_the_rest(database_url: str) -> None:
    """A batch hid business errors (ledger#1600)."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        outcomes = await ledger.all(
            purchase(1000),
            purchase(1000, member="nobody"),
            purchase(1000, START + timedelta(days=1)),
            goods_back("unknown"),
            redeem(5000),
            purchase([line(100, line=1), line(100, line=1)]),
            purchase(1000, member="phone:abc"),
            purchase(1000),
        )
        assert codes(outcomes) == [
            "ok", "unknown-member", "future-time", "unknown-purchase", "insufficient-points",
            "invalid-request", "invalid-request", "ok",
        ]  # fmt: skip
        assert await ledger.points() == (20, 0, 0, 0)


async def test_more_than_one_chunk_acts_in_order(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        requests: list[Request] = []
        for at in range(300):
            requests += [purchase(1000, id=f"p{at}"), goods_back(f"p{at}", id=f"t{at}")]
        outcomes = await ledger.all(*requests)
        assert set(codes(outcomes)) == {"ok"}
        assert await ledger.points() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "poison",
    [
        purchase(100, id="a\x00b"),
        purchase([line(100, sku="\ud800")]),
        purchase([line(2**53), line(2**53)]),
        purchase([line(100, Decimal("1e-400"))]),
    ],
    ids=["nul", "half a character", "too much", "too fine"],
)
async def test_a_poisoned_item_spoils_no_other(database_url: str, poison: Request) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        outcomes = await ledger.all(purchase(1000), poison, redeem(3))
        assert [codes(outcomes)[at] for at in (0, 2)] == ["ok", "ok"]
        assert codes(outcomes)[1] in ("internal", "invalid-request", "ok")


@pytest.mark.parametrize("single", [False, True])
async def test_a_defect_in_one_item_spoils_no_other(
    database_url: str, monkeypatch: pytest.MonkeyPatch, single: bool
) -> None:
    """A doctored move stands for a defect that only the database sees; with `single`, for one that Python sees."""
    adjusted = Book.adjust

    def wrong(self: Book, points: int, life: Any) -> int:
        if points == 13 and single:
            self._enter("adjust", points)
            raise RuntimeError("a defect")
        if points == 13:
            self.head.balance += 1
        return adjusted(self, points, life)

    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        monkeypatch.setattr(Book, "adjust", wrong)
        outcomes = await ledger.all(
            purchase(1000), adjust(13, id="x"), redeem(3), adjust(5), purchase(1000, member="bob")
        )
        assert codes(outcomes) == ["ok", "internal", "ok", "ok", "ok"]
        monkeypatch.undo()
        assert await ledger.points() == (12, 0, 0, 0)
        assert not (await ledger.do(adjust(13, id="x"))).replayed  # its id stayed free


async def test_an_id_of_a_redemption_inside_an_earlier_purchase_of_the_upload_is_taken(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        outcomes = await ledger.all(
            adjust(1000),
            adjust(1000, "bob"),
            purchase(10000, pay=PurchaseRedemption("r", points=100)),
            redeem(100, id="r"),
            redeem(100, "bob", id="r"),
            purchase(10000, member="bob", pay=PurchaseRedemption("r", points=100)),
            Reversal("r", 40, "v"),
            Reversal("r", 40, "v"),
        )
        assert codes(outcomes) == ["ok", "ok", "ok", *["id-conflict"] * 3, "ok", "again"]


async def test_a_redemption_inside_a_purchase_of_the_upload_is_found_by_its_reversal(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        outcomes = await ledger.all(
            adjust(1000), purchase(10000, pay=PurchaseRedemption("r", points=100)), Reversal("r", 40, "v")
        )
        assert codes(outcomes) == ["ok", "ok", "ok"]


async def test_an_id_that_two_members_claim_in_an_upload_is_the_one_that_was_recorded(
    database_url: str,
) -> None:
    """What is about it waits until it is known whose the id became."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        outcomes = await ledger.all(
            purchase(10000, START + timedelta(days=1), "ada", "p"),
            purchase(10000, START, "bob", "p"),
            goods_back("p", id="t"),
            redeem(500, "ada", "r"),
            purchase(20000, START, "bob", "q"),
            redeem(50, "bob", "r"),
            Reversal("r", 20, "v"),
            goods_back("p", id="t"),
        )
        assert codes(outcomes) == [
            "future-time", "ok", "ok", "insufficient-points", "ok", "ok", "ok", "again",
        ]  # fmt: skip
        assert (await ledger.points(), await ledger.points("bob")) == ((0, 0, 0, 0), (170, 0, 0, 0))


async def test_an_upload_full_of_such_ids_comes_to_an_end(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        requests: list[Request] = []
        for at in range(60):
            requests += [
                purchase(1000, START + timedelta(days=1), "ada", f"p{at}"),
                purchase(1000, START, "bob", f"p{at}"),
                goods_back(f"p{at}"),
            ]
        assert codes(await ledger.all(*requests)) == ["future-time", "ok", "ok"] * 60


async def test_a_connection_cut_in_mid_upload_is_settled(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry in mid-batch refunded twice (blnk#315); a retry after a time-out applied twice (midaz#2485)."""
    lock = loading.load_context
    cuts = 3

    async def cut(engine: Any, connection: asyncpg.Connection, *args: Any) -> Any:
        nonlocal cuts
        found = await lock(engine, connection, *args)
        if cuts:
            cuts -= 1
            connection.terminate()
        return found

    async with open_ledger(database_url, program(), "ada") as ledger:
        monkeypatch.setattr(batch, "load_context", cut)
        outcomes = await ledger.all(purchase(10000, id="p"), redeem(30), goods_back("p"), hold(5), adjust(40))
        assert codes(outcomes) == ["ok", "ok", "ok", "insufficient-points", "ok"]
        assert await ledger.points() == (10, 0, 0, 0)


async def test_the_same_content_written_otherwise_is_the_same_request(database_url: str) -> None:
    async with open_ledger(database_url, program(), at=START) as ledger:
        await ledger.enrol("ada", card="77")
        first = await ledger.do(purchase([line(1000, 2), line(500)], id="p"))
        shanghai = START.astimezone(datetime.fromisoformat("2026-03-02T12:00:00+08:00").tzinfo)
        same = purchase(
            [line(1000, Decimal("2.0"), line=1), line(500, Decimal(1), line=2)], shanghai, "card:77", "p"
        )
        again = await ledger.do(same)
        assert (again.replayed, again.body) == (True, first.body)
        assert msgspec.json.decode(first.body)["member_id"] == "ada"
