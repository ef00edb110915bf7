"""Waiting too long, hanging up, and backends that end: what was acknowledged stays, the rest is safe to repeat."""

import asyncio
import gc

import asyncpg
import pytest

from loyalty.db.connect import connect_owner
from loyalty.engine.answers import Answer
from loyalty.engine.engine import Engine
from loyalty.errors import IdConflict, LoyaltyError, Overloaded
from loyalty.types import Request
from tests.builders import (
    Ledger,
    line,
    open_ledger,
    program,
    purchase,
    redeem,
)
from tests.meeting import meet
from tests.vault import VAULT


async def test_a_request_that_waits_past_its_time_is_told_to_come_again(database_url: str) -> None:
    """While the first is under way the repeat waits; past its time-out it is told so, and asking again settles it."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        first = await ledger.do(purchase(1000, id="p"))
        impatient = await _impatient(ledger)
        owner = await connect_owner(database_url)
        try:
            async with owner.transaction():
                await owner.execute("select from account for update")
                assert (await ledger.do(purchase(1000, id="p"))).body == first.body  # recorded: needs no lock
                (outcome,) = await impatient.submit_many([redeem(3, id="r")])
                assert isinstance(outcome, Overloaded)
                assert outcome.facts["retry_after"] > 0
                waiting = asyncio.create_task(ledger.engine.submit(redeem(3, id="r")))
                await asyncio.sleep(0.2)
                assert not waiting.done()
            assert not (await waiting).replayed
        finally:
            await owner.close()
            await impatient.close()
        assert await ledger.entries() == [("earn", 10), ("redeem", -3)]


async def test_a_neighbour_that_waits_in_vain_takes_no_recorded_answer_away(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        first = await ledger.do(purchase(1000, id="p"))
        impatient = await _impatient(ledger)
        owner = await connect_owner(database_url)
        try:
            async with owner.transaction():
                await owner.execute("select from account where account = 2 for update")
                requests = [purchase(1000, id="p"), purchase(1000, member="bob", id="q")]
                again, overloaded = await impatient.submit_many(requests)
                assert isinstance(again, Answer)
                assert (again.replayed, again.body) == (True, first.body)
                assert isinstance(overloaded, Overloaded)
        finally:
            await owner.close()
            await impatient.close()


async def test_an_account_that_is_held_keeps_no_neighbour_from_its_answer(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob", "cid") as ledger:
        impatient = await _impatient(ledger)
        owner = await connect_owner(database_url)
        try:
            async with owner.transaction():
                await owner.execute("select from account where account = 2 for update")
                outcomes = await impatient.submit_many(
                    [purchase(1000, member=member) for member in ("ada", "bob", "cid", "bob", "ada")]
                )
            codes = [outcome.code if isinstance(outcome, LoyaltyError) else "ok" for outcome in outcomes]
            assert codes == ["ok", "overloaded", "ok", "overloaded", "ok"]
            assert await ledger.points("cid") == (10, 0, 0, 0)
        finally:
            await owner.close()
            await impatient.close()


async def test_tills_do_not_wait_for_an_account_that_somebody_has_locked(database_url: str) -> None:
    """One such account held up all tills of a process until its lock was let go, or for five seconds."""
    async with open_ledger(database_url, program(), "ada", "bob", "cid") as ledger:
        owner = await connect_owner(database_url)
        try:
            async with owner.transaction():
                await owner.execute("select from account where account = 2 for update")
                kept = [
                    asyncio.create_task(ledger.engine.submit(purchase(1000, member="bob"))) for _ in range(3)
                ]
                async with asyncio.timeout(2):
                    for number in range(10):
                        await ledger.engine.submit(purchase(1000, member="ada", id=f"p{number}"))
                        kept.append(asyncio.create_task(ledger.engine.submit(purchase(1000, member="bob"))))
                        await meet([ledger.engine], [purchase(1000, member="cid"), redeem(3, "ada")])
                    assert (await ledger.do(purchase(1000, member="ada", id="p0"))).replayed
                assert not any(task.done() for task in kept)
            answers = await asyncio.gather(*kept)
        finally:
            await owner.close()
        assert not any(answer.replayed for answer in answers)
        points = [await ledger.points(member) for member in ("ada", "bob", "cid")]
        assert points == [(70, 0, 0, 0), (130, 0, 0, 0), (100, 0, 0, 0)]


async def test_a_refusal_is_gone_once_it_is_answered(database_url: str) -> None:
    """Each kept its batch alive as garbage: a flood of refusals cost a pause of 40 ms every 400 of them."""
    async with open_ledger(database_url, program(), "ada") as ledger:

        async def refused(request: Request) -> None:
            with pytest.raises(LoyaltyError):
                await ledger.engine.submit(request)

        for request in (redeem(1000), redeem(1, "nobody"), purchase([line(1, line=1), line(1, line=1)])):
            await refused(request)
            gc.collect()
            gc.disable()
            try:
                for _ in range(20):
                    await refused(request)
                assert gc.collect() < 20
            finally:
                gc.enable()


async def test_an_id_that_somebody_holds_back_keeps_nobody_waiting_for_good(database_url: str) -> None:
    """No account is held: a request of the same id is under way elsewhere, and stays so."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        impatient = await _impatient(ledger)
        owner = await connect_owner(database_url)
        try:
            await owner.execute(
                "begin; insert into posting (shard, account, number, kind, id, occurred_at, recorded_at,"
                " program_version, fingerprint, hash)"
                " values (0, 99, 1, 'purchase', 'p', now(), now(), 1, '', sha256(''))"
            )
            async with asyncio.timeout(5):
                outcomes = await impatient.submit_many([purchase(1000, id="p"), purchase(1000, member="bob")])
            assert all(isinstance(outcome, Overloaded) for outcome in outcomes)
        finally:
            await owner.close()
            await impatient.close()


async def _impatient(ledger: Ledger) -> Engine:
    engine = await Engine.open(ledger.url, VAULT, pool_size=1)

    async def hurry(connection: asyncpg.Connection) -> None:
        await connection.execute("set lock_timeout = '150ms'")

    async with engine.pool.acquire() as connection:
        await hurry(connection)
    return engine


async def test_a_caller_that_goes_away_does_not_stop_what_is_under_way(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        callers = [asyncio.create_task(ledger.engine.submit(purchase(1000, id=f"p{at}"))) for at in range(10)]
        await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await ledger.engine.batcher.drain()
        again = [await ledger.do(purchase(1000, id=f"p{at}")) for at in range(10)]
        assert all(answer.replayed for answer in again)
        assert await ledger.points() == (100, 0, 0, 0)


async def test_a_backend_ended_in_mid_batch_is_settled_by_asking_again(database_url: str) -> None:
    """Backends are ended again and again under traffic: nothing acknowledged is lost, nothing is there twice."""
    members = [f"m{at}" for at in range(10)]
    async with open_ledger(database_url, program(), *members) as ledger:
        owner = await connect_owner(database_url)
        done = asyncio.Event()

        async def end_backends() -> int:
            ended = 0
            while not done.is_set() and ended < 8:
                ended += await owner.fetchval(
                    "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity"
                    " where application_name = 'loyalty' and datname = current_database() and state = 'active'"
                )
                await asyncio.sleep(0.03)
            return ended

        requests = [purchase(1000, member=member) for member in members for _ in range(30)]
        outcomes = []
        killer = asyncio.create_task(end_backends())
        for start in range(0, len(requests), 50):
            outcomes += await meet([ledger.engine], requests[start : start + 50])
        done.set()
        ended = await killer
        await owner.close()
        assert ended > 0
        lost = [
            request
            for request, outcome in zip(requests, outcomes, strict=True)
            if isinstance(outcome, LoyaltyError)
        ]
        assert all(
            isinstance(outcome, Overloaded) for outcome in outcomes if isinstance(outcome, LoyaltyError)
        )
        for request in lost:
            await ledger.do(request)
        for member in members:
            assert await ledger.points(member) == (300, 0, 0, 0)


async def test_an_id_used_by_another_member_is_never_answered_with_that_members_receipt(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(purchase(1000, id="p"))
        await ledger.refused(purchase(1000, id="p", member="bob"), IdConflict)
        await ledger.enrol("cid", card="777")
        await ledger.do(purchase(1000, id="q", member="card:777"))
        assert (await ledger.do(purchase(1000, id="q", member="cid"))).replayed
