"""Rewards where accounts lie in several shards: one stock, one use of a voucher, one claim of an id for all of them."""

from collections.abc import AsyncIterator

import pytest

from loyalty.db.connect import connect_owner
from loyalty.errors import IdConflict
from loyalty.types import Claim
from tests.builders import Ledger, adjust, open_ledger, program
from tests.meeting import codes, meet
from tests.rewards import LAMP, Shop

MEMBERS = [f"m{number}" for number in range(12)]


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    connection = await connect_owner(database_url)
    await connection.execute("update setting set shards = 4")
    await connection.close()
    async with open_ledger(database_url, program(), *MEMBERS) as opened:
        await opened.all(*(adjust(1000, member) for member in MEMBERS))
        assert await opened.value("select count(distinct shard)::int from account") == 4
        yield opened


async def test_the_last_units_go_to_members_of_any_shard(ledger: Ledger) -> None:
    shop = Shop(ledger)
    await shop.put("lamp", LAMP, 5)
    claims = [Claim(f"c-{member}", "lamp", member) for member in MEMBERS]
    assert codes(await meet([ledger.engine], claims)) == {"created": 5, "out-of-stock": 7}
    assert codes(await meet([ledger.engine], claims)) == {"replayed": 5, "out-of-stock": 7}
    assert await shop.left("lamp") == 0
    assert sorted([await ledger.available(member) for member in MEMBERS]) == [700] * 5 + [1000] * 7


async def test_an_id_claims_once_in_all_shards(ledger: Ledger) -> None:
    shop = Shop(ledger)
    await shop.put("lamp", LAMP, 5)
    await shop.claim("lamp", "m0", "c")
    for member in MEMBERS[1:]:
        await ledger.refused(Claim("c", "lamp", member), IdConflict)
    assert await shop.left("lamp") == 4
    assert [await ledger.available(member) for member in MEMBERS] == [700, *[1000] * 11]


async def test_vouchers_are_used_cancelled_and_merged_wherever_they_lie(ledger: Ledger) -> None:
    shop = Shop(ledger)
    await shop.put("lamp", LAMP, 12)
    given = {member: (await shop.claim("lamp", member, f"c-{member}")).voucher.code for member in MEMBERS}
    for member in MEMBERS[:4]:
        await shop.use(given[member], f"u-{member}")
    for member in MEMBERS[4:8]:
        await shop.cancel(f"c-{member}")
    assert await shop.left("lamp") == 4
    for member in MEMBERS[1:]:
        await ledger.engine.merge(member, "m0")
    statuses = dict(await shop.statuses("m0"))
    assert [statuses[f"c-{member}"] for member in MEMBERS] == ["used"] * 4 + ["cancelled"] * 4 + ["open"] * 4
    await shop.cancel("c-m11")
    assert await ledger.available("m0") == 12 * 1000 - 7 * 300
