"""Promise 9: Postgres is stopped at once, killed, and throws its clients out; the servers find back by themselves."""

import asyncio
from collections.abc import Callable

from tests.faults.harness import LONG, Ground
from tests.faults.load import Load
from tests.faults.postgres import Postgres

TIMES = 8 if LONG else 1
DOWN_SECONDS = 1.0
LONG_DOWN_SECONDS = 25.0
"""Longer than a request waits for the ledger: the tills are told to come again."""


async def _is_ended(ground: Ground, end: Callable[[Postgres], None]) -> None:
    server = await ground.serve()
    postgres = ground.postgres

    async def end_and_start(load: Load) -> None:
        for turn in range(TIMES):
            await load.more(40)
            await postgres.do(lambda: end(postgres))
            ground.faults += 1
            await asyncio.sleep(LONG_DOWN_SECONDS if turn == 1 else DOWN_SECONDS)
            await postgres.do(postgres.start)
            await ground.again(load)

    await ground.settle(await ground.load(end_and_start))
    assert server.runs, "the server went on by itself"


async def test_postgres_is_stopped_immediately_and_started(ground: Ground) -> None:
    await _is_ended(ground, Postgres.stop_at_once)


async def test_postgres_is_killed_and_started(ground: Ground) -> None:
    await _is_ended(ground, Postgres.kill)


async def test_a_back_end_is_killed_and_postgres_recovers(ground: Ground) -> None:
    server = await ground.serve()

    async def kill_one(load: Load) -> None:
        for _ in range(TIMES):
            await load.more(40)
            assert ground.postgres.kill_a_back_end()
            ground.faults += 1
            await ground.again(load)

    await ground.settle(await ground.load(kill_one))
    assert server.runs


async def test_all_connections_are_terminated(ground: Ground) -> None:
    server = await ground.serve()

    async def terminate(load: Load) -> None:
        for _ in range(TIMES * 3):
            await load.more(30)
            assert await ground.postgres.terminate_back_ends(ground.database) > 0
            ground.faults += 1
            await ground.again(load)

    await ground.settle(await ground.load(terminate))
    assert server.runs
