"""Redis holds nothing that is true: killed, flushed and gone under load it changes no answer."""

import asyncio

from tests.faults.harness import LONG, Ground
from tests.faults.load import Load
from tests.faults.redis import Redis

ROUNDS = 10 if LONG else 2


async def test_redis_is_killed_and_flushed_under_load(ground: Ground) -> None:
    redis = Redis(ground.folder)
    await redis.start()
    await ground.serve(2, RATE_LIMIT="admin=2000/s", REDIS_URL=redis.url)

    async def harm(load: Load) -> None:
        for _ in range(ROUNDS):
            await load.more(20)
            assert await redis.ask("DBSIZE") == b":1\r\n", "it is used"
            await redis.ask("FLUSHALL")
            await load.more(10)
            await redis.ask("SCRIPT FLUSH")
            await load.more(10)
            await redis.kill()
            ground.faults += 3
            await ground.again(load)
            await redis.start()
            await asyncio.sleep(3.5)  # the servers hand out what they hold for 1 s, then leave it alone for 2

    try:
        load = await ground.load(harm)
        await ground.settle(load)
    finally:
        await redis.kill()
    assert load.seen["503"] == load.seen["connection lost"] == load.seen["answer lost"] == 0
