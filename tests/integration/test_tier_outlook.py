"""What is foreseen of members' tiers comes true; who would fall is warned of; the review moves whom it said."""

from datetime import timedelta
from typing import Any

import pytest

from loyalty.engine import outlook
from loyalty.errors import InvalidRequest
from tests.builders import BASE, START, Ledger, adjust, day, event, open_ledger, program, purchase
from tests.integration.history import PROGRAMS, live

BOTH = """
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 500000, visits = 4, need = "any" }
[[tiers]]
id = "gold"
qualify = { spend_amount = 2000000 }
"""


async def all_warnings(ledger: Ledger, days: int, limit: int = 50) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        page = await ledger.engine.tier_warnings(days, cursor, limit)
        found += page.warnings
        cursor = page.next_cursor
        if cursor is None:
            assert len(page.warnings) <= limit
            return found
        assert len(page.warnings) == limit


async def test_the_tier_tells_what_comes_and_what_would_keep_it(database_url: str) -> None:
    async with open_ledger(database_url, program(tiers=BOTH), "ada", "bob") as ledger:
        assert (await ledger.standing()).projected is None
        await ledger.do(purchase(600000, day(2026, 3, 1, 12)))
        await ledger.move_clock(day(2026, 6, 1))
        await ledger.do(purchase(120000, day(2026, 5, 30, 12)))
        coming = (await ledger.standing()).projected
        assert (coming.tier, coming.reason, coming.at, coming.valid_until) == (
            "ordinary", "review", day(2027, 3, 2), None,
        )  # fmt: skip
        assert (coming.window.from_, coming.window.until) == (day(2026, 3, 2), day(2027, 3, 2))
        assert (coming.window.spend_amount, coming.window.visits) == (120000, 1)
        assert (coming.needed.tier, coming.needed.spend_amount, coming.needed.visits) == ("silver", 380000, 3)
        await ledger.do(purchase(380000, day(2026, 5, 31, 12)))
        kept = (await ledger.standing()).projected
        assert (kept.tier, kept.reason, kept.needed, kept.valid_until) == (
            "silver", "renewal", None, day(2028, 3, 2),
        )  # fmt: skip


async def test_the_version_that_will_be_in_force_is_foreseen(database_url: str) -> None:
    async with open_ledger(database_url, program(tiers=BOTH), "ada") as ledger:
        await ledger.do(purchase(2000000, day(2026, 3, 1, 12)))
        assert (await ledger.standing()).projected.tier == "silver"
        await ledger.put(program(tiers=BOTH, policy='downgrade = "to_qualified"'), day(2027, 1, 1))
        assert (await ledger.standing()).projected.tier == "ordinary"


@pytest.mark.parametrize("seed", [3, 4])
async def test_what_is_foreseen_comes_true(database_url: str, seed: int) -> None:
    async with open_ledger(database_url, PROGRAMS[0]) as ledger:
        shop = await live(ledger, seed, 160)
        now = await ledger.engine.now()
        foreseen = {}
        for member in shop.members:
            standing = await ledger.standing(member)
            if standing.projected is not None:
                foreseen[member] = standing
        assert foreseen
        for days in (1, 20, 366):
            wanted = sorted(
                (one.projected.at, member, one.tier, one.projected.tier)
                for member, one in foreseen.items()
                if one.projected.reason == "review" and one.projected.at <= now + timedelta(days=days)
            )
            for limit in (1, 50):
                told = [
                    (one.projected.at, one.member_id, one.tier, one.projected.tier)
                    for one in await all_warnings(ledger, days, limit)
                ]
                assert sorted(told) == wanted, days
                assert [row[0] for row in told] == [row[0] for row in wanted]
        for member, one in sorted(foreseen.items(), key=lambda item: item[1].projected.at):
            await ledger.move_clock(max(one.projected.at, await ledger.engine.now()))
            after = await ledger.standing(member)
            period = next(held for held in after.history if held.from_ == one.projected.at)
            assert (period.tier, period.reason) == (one.projected.tier, one.projected.reason)


@pytest.mark.parametrize("seed", [5, 6])
async def test_the_review_moves_whom_the_dry_run_and_the_reads_foresee(database_url: str, seed: int) -> None:
    async with open_ledger(database_url, PROGRAMS[0]) as ledger:
        shop = await live(ledger, seed, 120)
        await ledger.move_clock(timedelta(days=800))
        before = {member: await ledger.standing(member) for member in shop.members}
        posted = await ledger.value("select count(*) from posting")
        dry = await ledger.engine.review_tiers(dry_run=True)
        assert await ledger.value("select count(*) from posting") == posted
        some = await ledger.engine.review_tiers(await ledger.engine.now() - timedelta(days=400))
        rest = await ledger.engine.review_tiers()
        for name in ("verdicts", "renewed", "fallen"):
            assert some[name] + rest[name] == dry[name]
        assert dry["verdicts"] > 0
        for member, one in before.items():
            after = await ledger.standing(member)
            assert (after.tier, after.since, after.valid_until) == (one.tier, one.since, one.valid_until)
            assert after.history == one.history
        again = await ledger.engine.review_tiers()
        assert set(again.values()) == {0}


async def test_the_review_does_what_tills_would_have_done(database_url: str) -> None:
    """Of two members with one life, the till comes to one and the review to the other."""
    async with open_ledger(database_url, program(tiers=BOTH), "ada", "bob") as ledger:
        for member in ("ada", "bob"):
            await ledger.do(purchase(2000000, day(2026, 3, 1, 12), member))
        await ledger.move_clock(day(2028, 3, 5))
        await ledger.do(adjust(1, "ada"))
        counts = await ledger.engine.review_tiers()
        assert counts == {"accounts": 1, "verdicts": 2, "renewed": 0, "fallen": 2, "gold>ordinary": 1}
        columns = "ordinal, at, tier, previous, reason, since, valid_until, verdict_at, ground_at"
        changes = f"select {columns} from tier_change where account = $1 order by posting, ordinal"
        one, two = [
            await ledger.fetch(changes, row["account"])
            for row in await ledger.fetch("select account from account order by 1")
        ]
        assert [tuple(row) for row in one] == [tuple(row) for row in two]


async def test_warnings_are_of_members_that_can_be_reached(database_url: str) -> None:
    async with open_ledger(database_url, program(tiers=BOTH), "ada", "bob", "cleo", "dan") as ledger:
        for number, member in enumerate(("ada", "bob", "cleo")):
            await ledger.do(purchase(600000, day(2026, 3, 1, 12) + timedelta(hours=24 * -number), member))
        await ledger.engine.erase("cleo")
        await ledger.engine.merge("bob", "dan")
        await ledger.do(event())
        await ledger.move_clock(day(2027, 2, 20))
        warned = await all_warnings(ledger, 30)
        assert [one.member_id for one in warned] == ["dan", "ada"]
        assert await all_warnings(ledger, 5) == []
        with pytest.raises(InvalidRequest):
            await ledger.engine.tier_warnings(30, "nonsense")


async def test_a_page_of_warnings_is_full_or_the_last(database_url: str) -> None:
    """However many members there are between those who would fall that keep their tiers."""
    members = [f"m{at}" for at in range(9)]
    async with open_ledger(database_url, program(tiers=BOTH), *members) as ledger:
        bought = [purchase(600000, day(2026, 3, 1, at), member) for at, member in enumerate(members)]
        await ledger.all(*bought)
        await ledger.move_clock(day(2026, 6, 1))
        keep = [
            purchase(600000, day(2026, 5, 30, 12), member)
            for member in members
            if member not in ("m2", "m5", "m8")
        ]
        await ledger.all(*keep)
        await ledger.move_clock(day(2027, 2, 20))
        for chunk in (1, 2, 500):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(outlook, "CHUNK", chunk)
                warned = await all_warnings(ledger, 30, 1)
                assert [one.member_id for one in warned] == ["m2", "m5", "m8"]
                page = await ledger.engine.tier_warnings(30, None, 3)
                assert (len(page.warnings), page.next_cursor) == (3, None)


async def test_the_index_leads_to_verdicts(database_url: str) -> None:
    async with open_ledger(database_url, program(rules=BASE), "ada", at=START) as ledger:
        from loyalty.db.sql import query

        async with ledger.engine.pool.acquire() as connection, connection.transaction():
            await connection.execute("set local enable_seqscan = off")
            for name, args in (
                ("verdict_accounts", (0, START, START, 0, 10)),
                ("count_verdicts", (0, START)),
            ):
                plan = await connection.fetch("explain " + query(name), *args)
                assert any("account_verdict" in row[0] for row in plan), plan
