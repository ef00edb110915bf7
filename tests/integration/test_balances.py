"""Balance reads that queue together are answered together: each as if it were alone, none waiting for a slow one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random

import asyncpg
import msgspec
import pytest

from loyalty.db.connect import connect_owner
from loyalty.engine import balances as balances_module
from loyalty.engine.answers import Balance
from loyalty.engine.balances import Balances, _instants, _Read
from loyalty.errors import InvalidRequest, LoyaltyError, Overloaded, UnknownMember
from tests.builders import Ledger, adjust, expiry, open_ledger, program, purchase
from tests.integration.test_past import HOUR, POLICIES, some_request

TIERS = """
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 60000 }
"""
MANY = 300


async def judged(ledger: Ledger, *members: str) -> list[bytes]:
    """The balances as Python computes them, from everything that is there."""
    reads = [_Read(member) for member in members]
    await Balances(ledger.engine)._judge(reads)
    return [await read.answer for read in reads]


def without_clock(body: bytes) -> bytes:
    as_of = msgspec.json.decode(body)["as_of"]
    return body.replace(as_of.encode(), b"")


@pytest.mark.parametrize("policy", [*POLICIES, "mixed"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_sql_tells_byte_for_byte_what_the_engine_would(
    database_url: str, policy: str, seed: int
) -> None:
    """Random histories with everything in them, read at each step both ways; now and then expiry has run."""
    rng = Random(seed)
    source = program(
        POLICIES.get(policy, POLICIES["inactivity"]),
        tiers=TIERS,
        policy='validity_months = 1\nwindow = { kind = "rolling", months = 1 }',
    )
    async with open_ledger(database_url, source, "ada", "bob", "eve") as ledger:
        ids: dict[str, list[str]] = {"p": [], "h": []}
        for step in range(120):
            now = await ledger.engine.now()
            with suppress(LoyaltyError):
                await ledger.engine.submit(some_request(rng, now, ids))
            if rng.random() < 0.25:
                await ledger.move_clock(rng.choice((HOUR, 26 * HOUR, 140 * HOUR)))
            if rng.random() < 0.05:
                await ledger.engine.expire()
            if policy == "mixed" and step in (40, 80):
                await ledger.put(source.replace(POLICIES["inactivity"], POLICIES["after"]))
                source = source.replace(POLICIES["after"], POLICIES["inactivity"])
            members = ("ada", "bob", "eve")
            told = await asyncio.gather(*(ledger.engine.balance(member) for member in members))
            expected = await judged(ledger, *members)
            for one, other in zip(told, expected, strict=True):
                assert without_clock(one) == without_clock(other), step


@pytest.mark.parametrize("fraction", ["", ".123456"])
def test_fractions_are_written_in_full_beside_lines_that_have_none(fraction: str) -> None:
    now = datetime.fromisoformat(f"2026-03-01T13:00:00{fraction}Z")
    lines = f'judge\n{{"as_of":"2026-03-01T13:00:00{fraction}Z","until":"2026-03-01 13:00:00.19853Z"}}\n'
    assert _instants(lines.encode(), now).endswith(b'"until":"2026-03-01T13:00:00.198530Z"}\n')


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url, program(expiry("after", months=12)), "ada", "bob") as opened:
        yield opened


async def test_each_read_of_a_batch_gets_its_own_answer(ledger: Ledger) -> None:
    await ledger.do(purchase(10000))
    await ledger.do(purchase(7000, member="bob"))
    names = ["ada", "nobody", "bob", "ada", "phone:+8613800000001", "bob"] * 20
    told = await asyncio.gather(*(ledger.engine.balance(name) for name in names), return_exceptions=True)
    for name, answer in zip(names, told, strict=True):
        if name in ("ada", "bob"):
            assert isinstance(answer, bytes)
            assert msgspec.json.decode(answer, type=Balance).member_id == name
        else:
            assert isinstance(answer, UnknownMember)
            assert name in str(answer)


async def test_a_name_of_wrong_shape_is_refused_before_it_waits(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest):
        await ledger.engine.balance("no such name")


async def test_an_account_with_many_lots_answers_the_same_and_holds_up_nobody(
    ledger: Ledger,
) -> None:
    await ledger.all(*(adjust(7, "ada") for _ in range(MANY)))
    await ledger.do(purchase(10000, member="bob"))
    await ledger.engine.balance("bob")  # by whose terms points are worth something is known from here on
    order: list[str] = []

    async def read(member: str) -> None:
        body = await ledger.engine.balance(member)
        order.append(member)
        assert without_clock(body) == without_clock((await judged(ledger, member))[0])

    await asyncio.gather(*(read(member) for member in ["ada"] * 8 + ["bob"] * 8))
    assert order[-1] == "ada", "who has few lots does not wait for who has many"


async def test_more_reads_than_the_queue_holds_are_refused_with_a_time_to_come_back(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balances_module, "QUEUE", 50)
    told = await asyncio.gather(*(ledger.engine.balance("ada") for _ in range(400)), return_exceptions=True)
    refused = [answer for answer in told if isinstance(answer, Overloaded)]
    answered = sum(isinstance(answer, bytes) for answer in told)
    assert answered + len(refused) == 400
    assert 50 <= answered <= 50 + 2 * balances_module.MOST, "those that waited, and those under way"
    assert refused[0].facts["retry_after"] == 1
    assert await ledger.engine.balance("ada")


async def test_a_caller_who_goes_away_spoils_no_other_read(ledger: Ledger) -> None:
    await ledger.do(purchase(10000))
    reads = [asyncio.create_task(ledger.engine.balance("ada")) for _ in range(10)]
    await asyncio.sleep(0)
    for gone in reads[::2]:
        gone.cancel()
    told = await asyncio.gather(*reads, return_exceptions=True)
    assert all(isinstance(answer, bytes) for answer in told[1::2])
    assert all(isinstance(answer, asyncio.CancelledError) for answer in told[::2])


async def test_a_lost_connection_fails_the_reads_under_way_and_no_later_one(ledger: Ledger) -> None:
    owner = await connect_owner(ledger.url)
    try:
        killed = await owner.fetchval(
            "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    finally:
        await owner.close()
    assert killed
    told = await asyncio.wait_for(
        asyncio.gather(*(ledger.engine.balance("ada") for _ in range(100)), return_exceptions=True), 20
    )
    assert all(
        isinstance(
            answer,
            bytes | asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError | OSError,
        )
        for answer in told
    )
    assert await ledger.engine.balance("ada")


async def test_what_points_are_worth_follows_the_program_in_force(ledger: Ledger) -> None:
    """Also at once after a version came into force, and for many reads at once, of which some name a member twice."""
    await ledger.do(purchase(10000))
    await ledger.do(purchase(7000, member="bob"))
    worth = {member: (await ledger.balance(member)).amount for member in ("ada", "bob")}
    assert worth == {"ada": 100, "bob": 70}
    later = await ledger.engine.now() + timedelta(days=1)
    await ledger.put(program(expiry("after", months=12), redemption="points = 2\namount = 3"))
    await ledger.put(program(expiry("after", months=12), redemption=""), effective_from=later)
    for expected in ({"ada": 150, "bob": 105}, {"ada": 0, "bob": 0}):
        for _ in range(2):
            told = await asyncio.gather(*(ledger.balance(member) for member in ("ada", "bob") * 20))
            assert {balance.member_id: balance.amount for balance in told} == expected
        await ledger.move_clock(timedelta(days=2))


async def test_an_amount_beyond_eight_bytes_is_told_in_full(database_url: str) -> None:
    source = program(expiry("never"), redemption="points = 1\namount = 1000000")
    async with open_ledger(database_url, source, "ada") as ledger:
        await ledger.do(adjust(2**53))
        assert (await ledger.balance("ada")).amount == 2**53 * 1_000_000


async def test_reads_that_arrive_together_share_a_statement(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    read = Balances._read

    async def counted(self: Balances, reads: list[_Read], many: int) -> None:
        sizes.append(len(reads))
        await read(self, reads, many)

    monkeypatch.setattr(Balances, "_read", counted)
    await asyncio.gather(*(ledger.engine.balance("ada") for _ in range(balances_module.MOST)))
    assert sizes == [balances_module.MOST]
