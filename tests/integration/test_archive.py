"""Archived, old postings tell what they told: to the past, to returns, to repeated requests, to audit and backtest."""

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import msgspec
import pytest

from loyalty.audit import audit
from loyalty.backtest import backtest
from loyalty.db.connect import connect_owner
from loyalty.db.migrate import migrate
from loyalty.db.sql import folder
from loyalty.engine import archive
from loyalty.engine.answers import Answer
from loyalty.engine.past_due import Sizes
from loyalty.errors import FutureTime, LoyaltyError
from loyalty.types import Request
from tests.builders import START, Ledger, back, goods_back, open_ledger, program, purchase, redeem
from tests.integration.history import MEMBERS, PROGRAMS, live
from tests.integration.reports import assert_same
from tests.integration.test_backtest_reproduces import assert_reproduced
from tests.vault import VAULT

LEFT = "select count(*) from posting where facts is not null or answer is not null"


async def _or_refusal(asked: Awaitable[Any]) -> Any:
    try:
        answer = await asked
    except LoyaltyError as refused:
        return refused.code
    return answer if isinstance(answer, bytes) else msgspec.json.encode(answer)


async def _exported(ledger: Ledger, member: str) -> dict[str, Any]:
    """The parts of a member's data that do not tell of this moment."""
    try:
        found = msgspec.structs.asdict(await ledger.engine.export(member))
    except LoyaltyError as refused:
        return {"refused": refused.code}
    return {name: part for name, part in found.items() if name not in ("balance", "tier")}


async def _all_that_is_told(ledger: Ledger) -> dict[str, Any]:
    """What can be asked of the past of every member, purchase, event and redemption."""
    engine, told = ledger.engine, {}
    end = await ledger.value("select max(recorded_at) from posting")
    for days in (0, 5, 40):
        at = end - timedelta(days=days)
        told[f"liability {days}"] = await _or_refusal(engine.liability(at, at))
        for member in MEMBERS:
            told[f"balance {member} {days}"] = await _or_refusal(engine.balance(member, at, at))
    for member in MEMBERS:
        told[f"entries {member}"] = await _or_refusal(engine.entries(member, None, 1000))
        told[f"purchases {member}"] = await _or_refusal(engine.purchases(member, None, 1000))
        exported = await _exported(ledger, member)
        told |= {f"exported {name} {member}": value for name, value in exported.items()}
    for kind, id in await ledger.fetch("select kind::text, id from posting where id is not null"):
        if kind == "purchase":
            told[f"purchase {id}"] = await _or_refusal(engine.purchase(id))
            told[f"why {id}"] = await _or_refusal(engine.explanation(id, verify=True))
        elif kind == "event":
            told[f"why {id}"] = await _or_refusal(engine.event_explanation(id, verify=True))
        elif kind == "redemption":
            told[f"redemption {id}"] = await _or_refusal(engine.redemption(id))
    return told


@pytest.mark.parametrize("whole", [True, False])
async def test_what_is_archived_reads_as_before(
    database_url: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ledger(database_url, PROGRAMS[0]) as ledger:
        posted: list[tuple[Request, bytes]] = []
        submit_many = ledger.engine.submit_many

        async def remembered(requests: Any) -> Any:
            outcomes = await submit_many(requests)
            for request, outcome in zip(requests, outcomes, strict=True):
                if isinstance(outcome, Answer) and not outcome.replayed:
                    posted.append((request, outcome.body))
            return outcomes

        monkeypatch.setattr(ledger.engine, "submit_many", remembered)
        shop = await live(ledger, seed=7, steps=200)
        monkeypatch.undo()
        before = await _all_that_is_told(ledger)
        assert len(posted) > 150

        until = await ledger.engine.now()
        if not whole:
            until = await ledger.value(
                "select percentile_disc(0.5) within group (order by recorded_at) from posting"
            )
        foreseen = await ledger.engine.archive(until, dry_run=True)
        had = await ledger.value(LEFT)
        assert await ledger.value("select count(*) from archived_text") == 0
        moved = await ledger.engine.archive(until)
        assert moved["postings"] == foreseen["postings"]
        assert moved["bytes"] > 0
        assert foreseen["postings"] > 100
        assert await ledger.value(LEFT) == (had - foreseen["postings"])
        assert (await ledger.value(LEFT) == 0) is whole
        assert await ledger.engine.archive(until) == {"postings": 0, "bytes": 0}

        assert await _all_that_is_told(ledger) == before
        for request, body in posted:
            again = await ledger.engine.submit(request)
            assert (again.body, again.replayed) == (body, True)
        await assert_reproduced(ledger.url)
        report = await backtest(ledger.url, None, vault=VAULT, processes=1)
        assert report.reproduced.checked
        assert report.reproduced.different == 0, report.reproduced.examples
        for _ in range(60):
            await shop.step()
        await assert_reproduced(ledger.url)


async def test_goods_of_an_archived_purchase_come_back(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000, id="old"))
        await ledger.do(redeem(30, id="spent"))
        now = await ledger.move_clock(timedelta(days=900))
        await ledger.engine.archive(now)
        returned = await ledger.do(goods_back("old", now, back(1, amount=4000)))
        assert returned.points_clawed_back == 40
        assert await ledger.available() == 30
        assert (await ledger.engine.purchase("old")).returns


async def test_a_backtest_finds_in_the_archive_what_tier_judged_goods_that_came_back(
    database_url: str,
) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(purchase(100_00, id="p", member="bob"))
        await ledger.do(purchase(600_000, member="bob"))
        now = await ledger.move_clock(timedelta(days=9))
        await ledger.do(goods_back("p", now))
        before = await backtest(ledger.url, program(rules=""), processes=1)
        moved = {row.tier: row.now.clawed_back for row in before.tiers}
        assert moved == {"ordinary": 100, "silver": 0, "gold": 0}
        counts = await ledger.engine.archive(await ledger.move_clock(timedelta(days=9)))
        assert counts["postings"] == 3
        assert_same(await backtest(ledger.url, program(rules=""), processes=1), before)


async def test_what_is_to_come_cannot_be_archived(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000))
        with pytest.raises(FutureTime, match="after the ledger's clock"):
            await ledger.engine.archive(START + timedelta(days=1))
        assert await ledger.value(LEFT) == 1


async def test_an_archive_beside_another_and_tills_moves_each_text_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "RANGE_POSTINGS", 10)
    names = [f"m{number}" for number in range(30)]
    async with open_ledger(database_url, program(), *names, pool_size=8) as ledger:
        await ledger.all(*(purchase(10000, member=name) for name in names for _ in range(10)))
        now = await ledger.move_clock(timedelta(days=400))
        first, second, bought = await asyncio.gather(
            ledger.engine.archive(now),
            ledger.engine.archive(now),
            asyncio.gather(*(ledger.do(purchase(5000, at=now, member=name)) for name in names * 3)),
        )
        assert first["postings"] + second["postings"] == 300
        assert await ledger.value("select count(*) from archived_text") == 300
        assert len(bought) == await ledger.value(LEFT) == 90
        assert await ledger.available("m3") == 10 * 100 + 3 * 50


async def test_an_archive_that_is_stopped_goes_on_from_there(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "RANGE_POSTINGS", 10)
    monkeypatch.setattr(archive, "SIZES", Sizes(alone=1, beside=1))
    names = [f"m{number}" for number in range(20)]
    async with open_ledger(database_url, program(), *names) as ledger:
        await ledger.all(*(purchase(10000, member=name) for name in names for _ in range(10)))
        now = await ledger.move_clock(timedelta(days=1))
        shares: list[float] = []

        async def stop(share: float, counts: dict[str, int]) -> None:
            shares.append(share)
            if len(shares) == 5:
                raise asyncio.CancelledError

        with contextlib.suppress(asyncio.CancelledError):
            await ledger.engine.archive(now, progress=stop)
        moved = await ledger.value("select count(*) from archived_text")
        assert 0 < moved < 200
        assert moved + await ledger.value(LEFT) == 200
        assert shares == sorted(shares)
        rest = await ledger.engine.archive(now)
        assert moved + rest["postings"] == 200


async def test_an_account_with_many_postings_is_archived_in_parts(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST", 7)
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.all(*(purchase(1000, member=member) for member in ("ada", "bob") for _ in range(25)))
        assert (await ledger.engine.archive(await ledger.engine.now()))["postings"] == 50
        assert await ledger.value(LEFT) == 0


async def test_what_another_run_has_in_hand_is_left_to_it(database_url: str) -> None:
    """It waited for it, longer than a statement may wait for a lock, and failed."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.all(*(purchase(1000) for _ in range(10)))
        now = await ledger.engine.now()
        owner = await connect_owner(database_url)
        async with owner.transaction():
            await owner.fetch("select archive_postings(0::smallint, 0, 100, $1, 4)", now)
            assert (await ledger.engine.archive(now))["postings"] == 6
        await owner.close()
        assert await ledger.value(LEFT) == 0


async def test_the_tables_of_the_archive_are_made_beside_an_open_backup(
    empty_database_url: str, tmp_path: Path
) -> None:
    """An open backup held up the change of a trigger, and every till with it."""
    for kind in ("migrations", "functions"):
        shutil.copytree(folder() / kind, tmp_path / kind)
    for name in ("migrations/0005_archive.sql", "migrations/0006_archive_jobs.sql"):
        (tmp_path / name).unlink()
    for path in (tmp_path / "functions").glob("*.sql"):
        path.write_text(path.read_text().replace("full_posting", "posting"))
    (tmp_path / "functions/archive_postings.sql").unlink()
    await migrate(empty_database_url, sql_folder=tmp_path)
    reader = await connect_owner(empty_database_url)
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetch("select count(*) from posting")
        async with asyncio.timeout(10):
            assert "migrations/0005_archive.sql" in await migrate(empty_database_url)
    await reader.close()


async def test_a_posting_loses_its_texts_only_to_an_archive_that_has_both(database_url: str) -> None:
    texts = (
        "insert into archived_text select shard, account, number, facts, answer from posting where id = 'p'"
    )
    gone = "update posting set facts = null, answer = null where id = 'p'"
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000, id="p"))
        before = await ledger.fetch("select * from posting")
        owner = await connect_owner(database_url)
        for statements in (
            [gone],
            [texts.replace("facts,", "facts || ' ',"), gone],
            [texts.replace(", answer", ", '\\x00'"), gone],
            [texts, "update posting set facts = null where id = 'p'"],
            [texts, "update posting set answer = null where id = 'p'"],
            [texts, gone.replace("where", ", id = 'q' where")],
            [texts, gone.replace("where", ", qualifying_amount = 1 where")],
            [texts, "delete from posting where id = 'p'"],
        ):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await owner.execute("; ".join(statements))  # one transaction
            assert refused.value.sqlstate == "LY002", statements
        assert await ledger.fetch("select * from posting") == before
        for statement in (texts, gone):
            await owner.execute(statement)
        with pytest.raises(asyncpg.PostgresError):
            await owner.execute("update posting set facts = '{}' where id = 'p'")
        await owner.close()


@pytest.mark.parametrize(
    ("tampering", "table"),
    [
        ("update archived_text set facts = facts || ' '", "posting"),
        ("delete from archived_text", "posting"),
        ("update archived_text set number = 9", "archived_text"),
        ("update posting set facts = a.facts from archived_text a", "archived_text"),
        ("grant insert on archived_text to loyalty_app", "archived_text"),
    ],
)
async def test_the_audit_names_what_was_done_to_an_archive(
    database_url: str, tampering: str, table: str
) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.engine.archive(await ledger.engine.now())
        owner = await connect_owner(database_url)
        await owner.execute("create table kept as table archived_text")
        await owner.execute(f"set session_replication_role = replica; {tampering}")
        found = await audit(database_url, processes=1)
        assert table in {row.table for row in found.rows}
        await owner.execute(
            "update posting set facts = null; delete from archived_text; insert into archived_text table kept;"
            " revoke insert on archived_text from loyalty_app"
        )
        await owner.close()


async def test_the_archive_may_lie_on_another_disk(database_url: str) -> None:
    name = f"cold_{token_hex(6)}"
    async with open_ledger(database_url, program(), "ada") as ledger:
        owner = await connect_owner(database_url)
        await owner.execute("set allow_in_place_tablespaces = on")
        await owner.execute(f"create tablespace {name} location ''")
        try:
            await owner.execute(f"alter table archived_text set tablespace {name}")
            await owner.execute(f"alter index archived_text_pkey set tablespace {name}")
            await ledger.do(purchase(10000, id="p"))
            await ledger.engine.archive(await ledger.engine.now())
            assert (await ledger.engine.explanation("p", verify=True)).points_earned == 100
            assert await owner.fetchval("select pg_tablespace_size($1)", name) > 8192
        finally:
            await owner.execute("alter table archived_text set tablespace pg_default")
            await owner.execute("alter index archived_text_pkey set tablespace pg_default")
            await owner.execute(f"drop tablespace {name}")
            await owner.close()
