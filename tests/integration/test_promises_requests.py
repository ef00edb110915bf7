"""Promises 7 to 10 and 12 of the ledger, each with a test named for it: requests, the record and time."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg
import pytest

from loyalty.audit import audit
from loyalty.db.connect import connect_owner
from loyalty.errors import HoldEnded, IdConflict, InsufficientPoints
from loyalty.ledger import store
from loyalty.types import Capture, Redemption, Request, Reversal
from tests.builders import (
    START,
    adjust,
    back,
    expiry,
    goods_back,
    hold,
    open_ledger,
    program,
    purchase,
    redeem,
)


async def test_promise_7_the_same_request_is_answered_with_the_same_bytes(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        requests: list[Request] = [
            purchase(10000, id="p"),
            redeem(10, id="r"),
            hold(20, id="h"),
            adjust(5, id="a"),
            goods_back("p", START, back(amount=1000), id="t"),
            Reversal("r", 4, "v"),
            Capture("h", 15),
            Reversal("h"),
        ]
        first = [await ledger.do(request) for request in requests]
        assert not any(answer.replayed for answer in first)
        before = await ledger.requests()
        await ledger.move_clock(timedelta(days=400))
        again = [await ledger.do(request) for request in requests]
        assert [answer.body for answer in again] == [answer.body for answer in first]
        assert all(answer.replayed for answer in again)
        assert await ledger.requests() == before


@pytest.mark.parametrize(
    "other",
    [
        purchase(10001, id="p"),
        purchase(10000, START + timedelta(seconds=1), id="p"),
        purchase(10000, id="p", member="bob"),
        purchase(10000, id="p", channel="online"),
        redeem(11, id="r"),
        redeem(10, id="r", hold=True),
        redeem(10, id="r", member="bob"),
        redeem(10, id="r", basket_amount=100),
        hold(21, id="h"),
        adjust(-5, id="a"),
        goods_back("p", START, id="t"),
        goods_back("q", START, back(amount=1000), id="t"),
        Reversal("r", 5, "v"),
    ],
    ids=lambda request: type(request).__name__,
)
async def test_promise_7_the_same_id_with_other_content_changes_nothing(
    database_url: str, other: Request
) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(purchase(10000, id="p"))
        await ledger.do(purchase(10000, id="q", member="bob"))
        await ledger.do(redeem(10, id="r"))
        await ledger.do(hold(20, id="h"))
        await ledger.do(adjust(5, id="a"))
        await ledger.do(goods_back("p", START, back(amount=1000), id="t"))
        await ledger.do(Reversal("r", 4, "v"))
        await ledger.refused(other, IdConflict)


async def test_promise_7_an_id_is_unique_within_its_kind_alone(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000, id="x"))
        await ledger.do(redeem(10, id="x"))
        await ledger.do(adjust(10, id="x"))
        await ledger.do(goods_back("x", START, back(amount=100), id="x"))
        await ledger.do(Reversal("x", 5, "x"))
        assert await ledger.points() == (104, 0, 0, 0)


async def test_promise_8_a_refused_request_leaves_its_id_free_and_posts_at_most_what_was_due(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(expiry(days=10)), "ada") as ledger:
        await ledger.do(purchase(1000, START))
        await ledger.refused(redeem(11, id="r"), InsufficientPoints)
        await ledger.do(redeem(1, id="r"))
        await ledger.move_clock(START + timedelta(days=11))
        await ledger.refused(redeem(2, id="s"), InsufficientPoints)
        assert await ledger.entries() == [("earn", 10), ("redeem", -1), ("expire", -9)]
        await ledger.do(purchase(1000, START + timedelta(days=11)))
        await ledger.do(redeem(2, id="s"))


async def test_promise_9_nothing_is_answered_before_it_is_committed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between posting and commit everybody's connection is cut: there whole or not at all, and repeating is safe."""
    post = store.post
    cuts: list[int] = []

    async def cut(connection: asyncpg.Connection, *args: Any) -> None:
        await post(connection, *args)
        if not cuts:
            cuts.append(connection.get_server_pid())
            owner = await connect_owner(database_url)
            await owner.fetchval("select pg_terminate_backend($1, 5000)", cuts[0])
            await owner.close()

    async with open_ledger(database_url, program(), "ada") as ledger:
        monkeypatch.setattr("loyalty.engine.batch.store.post", cut)
        answer = await ledger.do(purchase(1000, id="p"))
        assert cuts
        assert not answer.replayed
        assert await ledger.entries() == [("earn", 10)]
        assert (await ledger.do(purchase(1000, id="p"))).body == answer.body


async def test_promise_9_a_commit_whose_answer_was_lost_is_answered_from_the_record(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loyalty.engine import batch

    attempt = batch._attempt
    lost: list[bool] = []

    async def lose(*args: Any) -> Any:
        left = await attempt(*args)
        if not lost:
            lost.append(True)
            for item in args[1]:
                item.outcome = None
            raise ConnectionResetError("the answer to commit never came")
        return left

    async with open_ledger(database_url, program(), "ada") as ledger:
        monkeypatch.setattr(batch, "_attempt", lose)
        outcomes = await ledger.all(purchase(1000), redeem(4), adjust(-1))
        assert [outcome.replayed for outcome in outcomes] == [True, True, True]
        assert await ledger.entries() == [("earn", 10), ("redeem", -4), ("adjust", -1)]


async def test_promise_10_each_posting_is_chained_to_the_one_before(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(1000))
        await ledger.do(redeem(4))
        first, second = await ledger.fetch("select * from posting order by number")
        entry = (await ledger.fetch("select * from entry where posting = 2"))[0]
        use = (await ledger.fetch("select * from lot_use where posting = 2"))[0]

        def us(at: datetime) -> int:
            return round(at.timestamp() * 1_000_000)

        text = "\n".join(
            [
                f"1|{first['hash'].hex()}|{second['account']}|2|redemption|{second['id']}|"
                f"|{us(second['occurred_at'])}|{us(second['recorded_at'])}|{second['program_version']}"
                f"||0|{second['fingerprint'].hex()}"
                f"|{sha256(second['facts'].encode()).hexdigest()}|{sha256(second['answer']).hexdigest()}",
                f"e|2|redeem|-4|6|{us(entry['occurred_at'])}|{us(entry['recorded_at'])}",
                f"u|1|1|redeem|4|{us(use['occurred_at'])}|{us(use['recorded_at'])}",
            ]
        )
        assert second["hash"] == sha256(text.encode()).digest()
        assert await ledger.value("select hash from account") == second["hash"]


async def test_promise_10_the_audit_names_the_row_that_was_changed(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(1000))
        await ledger.do(redeem(4))
        owner = await connect_owner(database_url)
        try:
            for points in (-3, -4):
                await owner.execute("set session_replication_role = replica")
                await owner.execute("update entry set points = $1 where seq = 2", points)
                found = await audit(database_url, processes=1)
                assert found.clean == (points == -4)
                assert points == -4 or ("entry", "seq=2") in {(row.table, row.key) for row in found.rows}
        finally:
            await owner.close()


async def test_promise_12_what_is_due_counts_from_its_instant_whether_or_not_a_batch_ran(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(expiry(days=10)), "ada", "bob") as ledger:
        for member in ("ada", "bob"):
            await ledger.do(purchase(1000, START, member=member))
            await ledger.do(hold(4, member=member, id=f"h-{member}", seconds=60))
        await ledger.move_clock(START + timedelta(days=10))
        assert await ledger.points("ada") == (0, 0, 0, 0)  # read, nothing posted
        assert len(await ledger.entries("ada")) == 1
        await ledger.engine.expire()
        assert await ledger.points("ada") == (0, 0, 0, 0)
        await ledger.move_clock(START + timedelta(days=20))
        await ledger.do(purchase(100, START + timedelta(days=20), member="bob"))
        dues = await ledger.fetch(
            "select member_id, kind::text, occurred_at from posting join member using (account)"
            " where kind in ('timeout', 'expiry') order by member_id, number"
        )
        by_member = [
            [tuple(row)[1:] for row in dues if row["member_id"] == member] for member in ("ada", "bob")
        ]
        assert [kind for kind, _ in by_member[0]] == ["timeout", "expiry"]
        assert by_member[0][1] == by_member[1][1] == ("expiry", START + timedelta(days=10))
        for postings in by_member:
            assert postings[0][1] - START < timedelta(minutes=3)


async def test_promise_12_a_hold_past_its_time_is_over_without_any_job(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(1000))
        await ledger.do(Redemption("h", "ada", points=10, hold=True, hold_seconds=60))
        await ledger.move_clock(timedelta(seconds=61))
        assert (await ledger.redemption("h")).status == "timed_out"
        assert await ledger.points() == (10, 0, 0, 0)
        await ledger.refused(Capture("h"), HoldEnded)
        await ledger.do(redeem(10))
