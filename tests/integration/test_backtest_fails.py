"""A backtest that cannot go on says why, and leaves no process behind."""

import asyncio
import os
import signal
from multiprocessing import active_children

import asyncpg
import pytest

import loyalty.backtest.run as backtest_run
from loyalty.backtest import backtest
from loyalty.db.connect import connect_owner
from loyalty.processes import ProcessLostError
from tests.builders import open_ledger, program, purchase


@pytest.fixture
async def url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A ledger of many ranges."""
    members = [f"m{number}" for number in range(30)]
    async with open_ledger(database_url, program(), *members) as ledger:
        for member in members:
            await ledger.do(purchase(member=member))
    monkeypatch.setattr(backtest_run, "POSTINGS_AT_ONCE", 1)
    return database_url


async def gone() -> None:
    """Waits until no process is left; fails after ten seconds."""
    for _ in range(200):
        if not active_children():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(active_children())


async def test_a_process_that_was_killed_is_told_and_the_others_end(url: str) -> None:
    def kill(*_: object) -> None:
        one = active_children()[0]
        if one.pid is not None:
            os.kill(one.pid, signal.SIGKILL)

    with pytest.raises(ProcessLostError, match="--processes 1"):
        await backtest(url, program(), progress=kill)
    await gone()


async def test_an_error_of_a_process_is_told_as_it_is(url: str) -> None:
    owner = await connect_owner(url)
    await owner.execute("alter table tier_change drop column reason cascade")
    await owner.close()
    with pytest.raises(asyncpg.PostgresError, match="reason"):
        await backtest(url, program())
    await gone()
