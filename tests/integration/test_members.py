"""The directory under racing calls, and thousands at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from loyalty.db.connect import open_pool
from loyalty.errors import FutureTime, InvalidRequest, LoyaltyError, MemberExists
from loyalty.members import directory
from loyalty.members.enrol import Enrolled, enrol, enrol_many
from loyalty.types import Enrolment, MemberChange
from tests.vault import VAULT

NOW = datetime(2026, 11, 11, 12, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with await open_pool(database_url, size=20) as opened:
        yield opened


async def _count(pool: asyncpg.Pool, table: str) -> int:
    return int(await pool.fetchval(f"select count(*) from {table}"))


async def test_fifty_enrolments_of_one_person_at_once_make_one_member(pool: asyncpg.Pool) -> None:
    person = Enrolment(phone="+8613800000001", email="a@b.cn", card="88001", name="Li")
    made = await asyncio.gather(*(enrol(pool, VAULT, person, NOW) for _ in range(50)))
    assert len({one.account for one in made}) == 1
    assert sum(one.created for one in made) == 1
    assert (await _count(pool, "member"), await _count(pool, "account")) == (1, 1)
    assert await _count(pool, "identifier") == 4


async def test_people_who_share_identifiers_crosswise_never_lock_each_other_out(pool: asyncpg.Pool) -> None:
    people = [
        Enrolment(phone=f"+86138{number % 5:04}", card=f"c-{number % 7}", ext=f"e-{number % 3}")
        for number in range(105)
    ]
    outcomes = await asyncio.gather(
        *(enrol(pool, VAULT, person, NOW) for person in people), return_exceptions=True
    )
    assert {type(one) for one in outcomes} == {Enrolled, MemberExists}
    members = await _count(pool, "member")
    assert members == sum(isinstance(one, Enrolled) and one.created for one in outcomes)
    assert await _count(pool, "identifier") == 4 * members


async def test_racing_batches_agree_with_single_enrolments(pool: asyncpg.Pool) -> None:
    people = [Enrolment(card=f"c-{number}") for number in range(200)]
    backwards = list(reversed(people))
    await asyncio.gather(
        *(enrol_many(pool, VAULT, batch, NOW) for batch in (people, backwards, people)),
        *(enrol(pool, VAULT, person, NOW) for person in people[:20]),
    )
    assert await _count(pool, "member") == 200


async def test_a_batch_tells_for_each_what_became_of_it(pool: asyncpg.Pool) -> None:
    await enrol(pool, VAULT, Enrolment(member_id="m-1", phone="+8613800000001"), NOW)
    outcomes = await enrol_many(
        pool,
        VAULT,
        [
            Enrolment(member_id="m-1", phone="+8613800000001"),
            Enrolment(member_id="m-1"),
            Enrolment(phone="+8613800000001", name="other"),
            Enrolment(card="1"),
            Enrolment(card="1"),
            Enrolment(card="1", name="other"),
            Enrolment(name="a\x00b"),
            Enrolment(enrolled_at=NOW + timedelta(minutes=6)),
            Enrolment(enrolled_at=NOW + timedelta(minutes=4)),
            Enrolment(),
            Enrolment(),
        ],
        NOW,
    )
    kinds = [one.created if isinstance(one, Enrolled) else type(one) for one in outcomes]
    assert kinds == [
        False, MemberExists, MemberExists, True, False, MemberExists, InvalidRequest, FutureTime, True, True, True,
    ]  # fmt: skip
    assert not isinstance(outcomes[3], LoyaltyError)
    assert not isinstance(outcomes[4], LoyaltyError)
    assert outcomes[3].account == outcomes[4].account


async def test_five_thousand_are_enrolled_at_once(pool: asyncpg.Pool) -> None:
    people = [Enrolment(member_id=f"m-{n}", card=f"{n}", name=f"N {n}") for n in range(5_000)]
    outcomes = await enrol_many(pool, VAULT, people, NOW)
    assert all(isinstance(one, Enrolled) and one.created for one in outcomes)
    again = await enrol_many(pool, VAULT, people, NOW)
    assert all(isinstance(one, Enrolled) and not one.created for one in again)
    assert len({one.account for one in outcomes if isinstance(one, Enrolled)}) == 5_000


async def test_an_identifier_wanted_by_many_goes_to_one(pool: asyncpg.Pool) -> None:
    for number in range(20):
        await enrol(pool, VAULT, Enrolment(member_id=f"m-{number}"), NOW)
    wanted = MemberChange(phone="+8613800000001", card="88001")
    outcomes = await asyncio.gather(
        *(directory.change(pool, VAULT, f"m-{number}", wanted, NOW) for number in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, str) for one in outcomes) == 1
    assert sum(isinstance(one, MemberExists) for one in outcomes) == 19
    winner = await directory.read(pool, VAULT, "phone:+8613800000001")
    assert winner.member_id in outcomes
    assert winner.identifiers == ["phone:+8613800000001", "card:88001"]


async def test_the_fingerprint_of_an_enrolment_holds_nothing_that_can_be_looked_up(
    pool: asyncpg.Pool,
) -> None:
    await enrol_many(pool, VAULT, [Enrolment(name="Li"), Enrolment(name="Li")], NOW)
    prints = [row["fingerprint"] for row in await pool.fetch("select fingerprint from member")]
    assert len(set(prints)) == 2
