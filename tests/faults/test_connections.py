"""Promise 9: the connection to Postgres ends between the commit and its answer, or says nothing any more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.harness import LONG, Ground
from tests.faults.load import Load
from tests.faults.proxy import Harm, Proxy

TIMES = 60 if LONG else 5


@asynccontextmanager
async def by_way_of_a_proxy(ground: Ground) -> AsyncIterator[Proxy]:
    """A server that reaches Postgres by way of a stand-in."""
    proxy = Proxy(ground.postgres.socket)
    port = await proxy.start()
    try:
        await ground.serve(url=ground.postgres.url(ground.database, host="127.0.0.1", port=port))
        yield proxy
        await ground.close()
    finally:
        await proxy.close()


@pytest.mark.parametrize("harm", ["before", "after", "inside"])
async def test_the_connection_is_cut_at_commit(ground: Ground, harm: Harm) -> None:
    async with by_way_of_a_proxy(ground) as proxy:

        async def cut(load: Load) -> None:
            for _ in range(TIMES):
                await load.more(10)
                proxy.next(harm, 2)
                await ground.again(load, 10)
            ground.faults = proxy.harmed

        await ground.settle(await ground.load(cut))
        assert proxy.harmed >= TIMES
        assert ground.servers[0].runs


@pytest.mark.slow
async def test_postgres_says_nothing_after_a_commit(ground: Ground) -> None:
    async with by_way_of_a_proxy(ground) as proxy:

        async def fall_silent(load: Load) -> None:
            for _ in range(3 if LONG else 1):
                await load.more(40)
                proxy.next("silent", 1)
                await ground.again(load, 60)
            ground.faults = proxy.harmed

        await ground.settle(await ground.load(fall_silent))
        assert ground.servers[0].runs
