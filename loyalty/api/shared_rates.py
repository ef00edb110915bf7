"""What keys have left of their rates, in Redis, where all servers share it: one atomic script, one number a key."""

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

CONNECTIONS = 4
"""More keys than these that ask at once wait for each other."""
SOCKET_SECONDS = 5.0
"""The end of what nobody waits for any more; who asks waits less."""

# As `Bucket.take`, on the clock of Redis. ARGV: rate, asked. Returns what is granted, and the microseconds to wait.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local rate, asked = tonumber(ARGV[1]), tonumber(ARGV[2])
local start = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local free = math.floor((now + 1 - start) * rate + 1e-3)
local granted = math.min(asked, free)
if granted <= 0 then
    return {0, math.max(math.ceil((start + 1 / rate - now - 1) * 1e6), 1000)}
end
redis.call('SET', KEYS[1], string.format('%.6f', start + granted / rate), 'PX', 2000)
return {granted, 0}
"""


class SharedRates:
    """A connection to Redis. Close it."""

    def __init__(self, url: str) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            max_connections=CONNECTIONS,
            timeout=SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = redis.asyncio.Redis.from_pool(pool)
        self._draw = self._redis.register_script(_SCRIPT)

    async def take(self, key_id: str, rate: int, asked: int) -> tuple[int, float]:
        """As `Bucket.take`, at the time of Redis. Raises ConnectionError when Redis fails in any way."""
        try:
            granted, micros = await self._draw([f"loyalty:rate:{key_id}"], [rate, asked])
        except RedisError as error:
            raise ConnectionError(str(error)) from error
        return int(granted), int(micros) / 1e6

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()
