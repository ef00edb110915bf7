"""Limits: rates that hold over all servers, Redis that dawdles or dies, clients that drip, hoard or flood."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from loyalty.api import batch, limiter, patience
from loyalty.api.limiter import Limiter
from loyalty.db import connect
from loyalty.engine import batcher
from loyalty.errors import RateLimited
from loyalty.keys import Identity
from tests.e2e.face import ADMIN_KEY, Face, code, face, purchase, serving

RATE = 40


async def _ask(client: Face, seconds: float) -> tuple[int, list[Any], float]:
    """As often as four connections can for so long: how many were let in, the refusals, and the most that the rate
    lets in: a second's worth at once, then the rate for as long as it really took."""
    let_in, refused = 0, []
    begun = time.monotonic()
    until = begun + seconds

    async def one() -> None:
        nonlocal let_in
        while time.monotonic() < until:
            answer = await client.get("/v1/members/nobody")
            if answer.status_code == 404:
                let_in += 1
            else:
                refused.append(answer)
                await asyncio.sleep(0.005)

    await asyncio.gather(*(one() for _ in range(4)))
    return let_in, refused, RATE * (1 + time.monotonic() - begun) + 1


async def test_a_key_that_calls_too_often_is_told_when_to_come_again(database_url: str) -> None:
    async with face(database_url, rate_limit=f"pos={RATE}/s") as shop:
        async with Face(shop.url, await shop.key("pos")) as till:
            let_in, refused, most = await _ask(till, 2.0)
        assert RATE * 1.5 <= let_in <= most, "a second's worth at once, then the rate"
        for answer in refused[:20]:
            assert code(answer, 429) == "rate-limited"
            assert int(answer.headers["retry-after"]) == 1
        async with Face(shop.url, await shop.key("pos")) as other:
            assert (await other.get("/v1/members/nobody")).status_code == 404, "each key has its own rate"
        for _ in range(RATE * 3):
            assert (await shop.get("/v1/members/nobody")).status_code == 404, "a role not named has none"


async def test_the_rate_holds_over_all_servers_with_redis(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "REDIS_SECONDS", 10.0)  # a busy machine is no failure
    settings = {"rate_limit": f"pos={RATE}/s", "redis_url": redis_url}
    async with face(database_url, **settings) as shop, serving(database_url, **settings) as second:
        key = await shop.key("pos")
        async with Face(shop.url, key) as one, Face(second, key) as two:
            (first, _, most), (other, _, or_most) = await asyncio.gather(_ask(one, 2.0), _ask(two, 2.0))
        assert RATE * 1.5 <= first + other <= max(most, or_most)
        assert min(first, other) > 0


async def test_the_rates_of_many_keys_at_once_hold_over_all_servers(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "REDIS_SECONDS", 10.0)
    servers = [Limiter({"pos": 10}, redis_url) for _ in range(2)]
    let_in: Counter[str] = Counter()

    async def call(server: Limiter, key_id: str) -> None:
        with contextlib.suppress(RateLimited):
            await server.take(Identity(key_id, "pos"))
            let_in[key_id] += 1

    begun = time.monotonic()
    keys = [f"{redis_url}/{number}" for number in range(40)]
    await asyncio.gather(*(call(server, key) for _ in range(20) for key in keys for server in servers))
    most = 10 * (1 + time.monotonic() - begun) + 2
    for server in servers:
        await server.close()
    assert min(let_in[key] for key in keys) >= 10
    assert max(let_in.values()) <= most, "each server counted by itself"


async def test_a_redis_that_is_gone_fails_no_request(database_url: str, unused_tcp_port_: int) -> None:
    settings = {"rate_limit": f"pos={RATE}/s", "redis_url": f"redis://127.0.0.1:{unused_tcp_port_}/0"}
    async with face(database_url, log_level="critical", **settings) as shop:
        async with Face(shop.url, await shop.key("pos")) as till:
            let_in, refused, most = await _ask(till, 2.0)
        assert RATE <= let_in <= most, "the server counts by itself"
        assert {answer.status_code for answer in refused} == {429}


async def test_a_redis_that_does_not_answer_costs_a_bounded_time(database_url: str) -> None:
    async with _silence() as port:
        settings = {"rate_limit": f"pos={RATE}/s", "redis_url": f"redis://127.0.0.1:{port}/0"}
        async with (
            face(database_url, log_level="critical", **settings) as shop,
            Face(shop.url, await shop.key("pos")) as till,
        ):
            await till.get("/health/live")
            begun = time.monotonic()
            assert (await till.get("/v1/members/nobody")).status_code == 404
            assert time.monotonic() - begun < 1.0
            begun = time.monotonic()
            for _ in range(10):
                assert (await till.get("/v1/members/nobody")).status_code == 404
            assert time.monotonic() - begun < 1.0, "it is left alone for a while"


@pytest.fixture
def unused_tcp_port_() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@asynccontextmanager
async def _silence() -> AsyncIterator[int]:
    """A port that takes connections and never answers."""
    ended = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ended.set()
        server.close()


async def _open(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))


def _head(method: str, path: str, length: int) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def _is_closed(reader: asyncio.StreamReader, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            while await reader.read(65536):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


async def test_clients_that_drip_are_left_and_slow_nobody_down(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience.watch, "__defaults__", (1.0, 2.0, 2.0))
    async with face(database_url) as shop:
        member = await shop.member()
        mute = [await _open(shop.url) for _ in range(40)]
        heads = [await _open(shop.url) for _ in range(40)]
        bodies = [await _open(shop.url) for _ in range(40)]

        async def drip() -> None:
            for step in range(80):
                for number, (_, writer) in enumerate((*heads, *bodies)):
                    if writer.is_closing():
                        continue
                    if step == 0:
                        writer.write(
                            b"GET / HTTP/1.1\r\n" if number < 40 else _head("POST", "/v1/purchases", 5000)
                        )
                    else:
                        writer.write(b"X-A: b\r\n" if number < 40 else b" ")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        slowest = 0.0
        for number in range(60):
            begun = time.monotonic()
            await shop.buy(member, f"p-{number}")
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 1.0, "the tills go on"
        for name, connections in (("mute", mute), ("heads", heads), ("bodies", bodies)):
            closed = await asyncio.gather(*(_is_closed(reader, 8.0) for reader, _ in connections))
            assert all(closed), name
        dripping.cancel()
        assert (await shop.get(f"/v1/members/{member}/balance")).status_code == 200, "an idle one may stay"


async def test_a_client_that_does_not_read_its_answer_is_left(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience.watch, "__defaults__", (30.0, 30.0, 1.0))
    async with face(database_url) as shop:
        _, writer = await _open(shop.url)
        request = f"GET /schema/openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n"

        async def ask_without_end_and_read_nothing() -> None:
            while True:
                writer.write(request.encode() * 20)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(ask_without_end_and_read_nothing(), 20)
        assert (await shop.get("/health/live")).status_code == 200


async def test_a_key_with_many_uploads_is_told_to_wait_and_the_tills_are_not(database_url: str) -> None:
    async with face(database_url) as shop:
        member = await shop.member()
        slow = [await _open(shop.url) for _ in range(batch.UPLOADS_A_KEY)]
        for _, writer in slow:
            writer.write(_head("POST", "/v1/purchases/batch", 1000))
        await asyncio.sleep(0.3)
        answer = await shop.post("/v1/purchases/batch", json=[purchase(member, "b-1") | {"kind": "purchase"}])
        assert code(answer, 503) == "overloaded"
        assert int(answer.headers["retry-after"]) >= 1
        await shop.buy(member, "p-1")
        async with Face(shop.url, await shop.key("ops")) as other:
            answer = await other.post(
                "/v1/purchases/batch", json=[purchase(member, "b-1") | {"kind": "purchase"}]
            )
            assert answer.json()["counts"]["created"] == 1, "another key has its own room"
        for _, writer in slow:
            writer.close()
        await asyncio.sleep(0.3)
        answer = await shop.post("/v1/purchases/batch", json=[purchase(member, "b-2") | {"kind": "purchase"}])
        assert answer.json()["counts"]["created"] == 1


async def test_a_greedy_client_with_a_rate_does_not_slow_the_others(database_url: str) -> None:
    async with face(database_url, rate_limit=f"eshop={RATE}/s") as shop:
        member = await shop.member()
        async with Face(shop.url, await shop.key("eshop")) as greedy:
            flood = asyncio.create_task(_ask(greedy, 3.0))
            times = []
            for number in range(40):
                begun = time.monotonic()
                await shop.buy(member, f"p-{number}")
                times.append(time.monotonic() - begun)
            let_in, refused, most = await flood
        assert let_in <= most
        assert refused
        assert sorted(times)[len(times) // 2] < 0.25


async def test_a_full_queue_is_said_at_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher, "QUEUE", 4)
    async with face(database_url, log_level="critical") as shop:
        member = await shop.member()
        owner = await asyncpg.connect(database_url)
        async with owner.transaction():
            await owner.fetch("select 1 from loyalty.account for update")
            sent = [
                asyncio.create_task(shop.post("/v1/purchases", json=purchase(member, f"p-{number}")))
                for number in range(12)
            ]
            await asyncio.sleep(0.5)
            refused = [task.result() for task in sent if task.done()]
            assert refused
            for answer in refused:
                assert code(answer, 503) == "overloaded"
                assert int(answer.headers["retry-after"]) >= 1
        await owner.close()
        assert {task.status_code for task in await asyncio.gather(*sent)} == {201, 503}


async def test_waiting_for_a_connection_of_the_pool_has_an_end(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "ACQUIRE_SECONDS", 0.3)
    pool = await connect.open_pool(database_url, size=1)
    async with pool:
        async with pool.acquire() as held:
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                await pool.fetchval("select 1")
            assert time.monotonic() - begun < 2.0
            assert await held.fetchval("select 1") == 1
        assert await pool.fetchval("select 1") == 1


async def test_waiting_for_a_lock_and_for_a_statement_has_an_end(database_url: str) -> None:
    pool = await connect.open_pool(database_url, size=2, statement_seconds=0.3, lock_seconds=0.2)
    async with pool, pool.acquire() as one, pool.acquire() as two:
        with pytest.raises(asyncpg.QueryCanceledError):
            await one.execute("select pg_sleep(5)")
        async with one.transaction():
            await one.execute("update setting set clock_offset = clock_offset")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await two.execute("update setting set clock_offset = clock_offset")
