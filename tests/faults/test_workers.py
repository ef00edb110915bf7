"""Promise 9: a server of several processes loses one of them, or the one that watches over the others."""

import asyncio

from tests.faults.harness import LONG, Ground
from tests.faults.load import Load

KILLS = 6 if LONG else 1


async def test_a_worker_is_killed_and_replaced(ground: Ground) -> None:
    server = await ground.serve(WORKERS="2")

    async def kill(load: Load) -> None:
        for _ in range(KILLS):
            await load.more(40)
            server.kill_a_worker()
            ground.faults += 1
            await ground.again(load)
            await asyncio.sleep(2)

    await ground.settle(await ground.load(kill))
    assert server.runs


async def test_the_server_of_several_processes_is_killed(ground: Ground) -> None:
    server = await ground.serve(WORKERS="2")

    async def kill(load: Load) -> None:
        for _ in range(KILLS):
            await load.more(40)
            await server.kill()
            ground.faults += 1
            await server.start()
            await ground.again(load)

    await ground.settle(await ground.load(kill))
