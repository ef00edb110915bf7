"""An audit that cannot go on says why: the first error, and not what it led to in other processes."""

import os
import signal
from multiprocessing import active_children

import asyncpg
import pytest

import loyalty.audit.run as audit_run
from loyalty.audit import audit
from loyalty.cli.session import sentence
from loyalty.db.connect import connect_owner
from loyalty.processes import ProcessLostError
from tests.builders import open_ledger, program, purchase


@pytest.fixture
async def url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A ledger of many ranges."""
    async with open_ledger(database_url, program(), "ada", "bob", "cleo") as ledger:
        for number in range(30):
            await ledger.do(purchase(member=("ada", "bob", "cleo")[number % 3]))
    monkeypatch.setattr(audit_run, "ROWS_AT_ONCE", 1)
    return database_url


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("alter table open_lot drop column purchase_id", "purchase_id"),  # read by the processes alone
        ("alter table budget rename to spent", "budget"),  # read by the parent alone, while they start
        ("alter table program_version drop column hash", "hash"),  # read before there are any
    ],
)
async def test_tables_of_another_version_are_told_in_one_sentence(
    url: str, statement: str, error: str
) -> None:
    owner = await connect_owner(url)
    await owner.execute(statement)
    await owner.close()
    with pytest.raises(asyncpg.PostgresError) as caught:
        await audit(url)
    told = sentence(caught.value)
    assert told.startswith("The database does not have the tables of this version: ")
    assert error in told
    assert "\n" not in told


async def test_a_process_that_was_killed_is_told(url: str) -> None:
    def kill(*_: object) -> None:
        for process in active_children():
            if process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(ProcessLostError, match="--processes 1"):
        await audit(url, progress=kill)
