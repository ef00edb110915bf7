"""What the tests stand on: a database of their own, and a real Redis."""

import asyncpg
from redis.asyncio import Redis


async def test_each_test_gets_a_migrated_database_of_its_own(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("select count(*) from loyalty.migration") > 0
        assert (
            await connection.fetchval("select rolcanlogin from pg_roles where rolname = 'loyalty_app'")
            is False
        )
    finally:
        await connection.close()


async def test_redis_is_real(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        assert await redis.set("key", "value", px=60_000)
        assert await redis.get("key") == b"value"
        assert 0 < await redis.pttl("key") <= 60_000
