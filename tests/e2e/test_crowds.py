"""Greedy clients: thousands of connections, more calls at once than anybody needs. The others do not notice."""

import asyncio
import contextlib
import time
from typing import Any

import asyncpg
import pytest

from loyalty.api import auth
from loyalty.api.patience import Connection
from loyalty.engine import batcher
from tests.e2e.face import ADMIN_KEY, Face, code, face, purchase
from tests.e2e.test_api_serve import process

Open = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _open(url: str) -> Open:
    return await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))


async def _is_closed(connection: Open) -> bool:
    try:
        async with asyncio.timeout(1):
            return await connection[0].read(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def _head(path: str, key: str = ADMIN_KEY, method: str = "GET", length: int = 0) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def test_the_connection_that_is_silent_longest_makes_room_for_the_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with face(database_url) as shop:
        await shop.member(member_id="li")
        monkeypatch.setattr(Connection, "most", 30)
        served = await _open(shop.url)
        served[1].write(_head("/v1/purchases", method="POST", length=1_000))  # the body is on its way
        await asyncio.sleep(0.2)
        hoard = [await _open(shop.url) for _ in range(60)]
        await asyncio.sleep(0.2)
        assert (await shop.get("/v1/members/li/balance")).status_code == 200, "it connects anew if it has to"
        assert not await _is_closed(served)
        closed = [await _is_closed(one) for one in hoard[:20]]
        assert closed == [True] * 20, "the first to come are the first to go"
        assert not await _is_closed(hoard[-1])
        for _, writer in (served, *hoard):
            writer.close()


async def test_a_connection_with_wrong_requests_again_and_again_is_read_more_slowly(
    database_url: str,
) -> None:
    async with face(database_url, log_level="critical") as shop:
        await shop.member(member_id="li")

        async def seconds(connection: Open, path: str, times: int, status: bytes) -> float:
            begun = time.perf_counter()
            for _ in range(times):
                connection[1].write(_head(path))
                head = await connection[0].readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 " + status)
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await connection[0].readexactly(length)
            return time.perf_counter() - begun

        rude, polite = await _open(shop.url), await _open(shop.url)
        known, unknown = "/v1/members/li/balance", "/v1/members/nobody/balance"
        wrong = "/v1/members/li/balance?as_of=yesterday"
        assert await seconds(rude, wrong, 20, b"400") > 1.0, "each waits longer than the one before"
        await seconds(rude, known, 1, b"200")
        assert await seconds(rude, known, 20, b"200") < 1.0, "one that is right makes up for it"
        assert await seconds(polite, wrong, 5, b"400") < 1.0, "a few do not matter"
        assert await seconds(polite, unknown, 40, b"404") < 1.0, "asking for what is not there is no mistake"
        for _, writer in (rude, polite):
            writer.close()


async def test_a_connection_that_does_not_wait_before_it_tries_again_is_read_more_slowly(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks again at once after 503 would take the turns of those who wait as they were told."""
    monkeypatch.setattr(batcher, "QUEUE", 0)
    async with face(database_url, log_level="critical") as shop:
        begun = time.perf_counter()
        for number in range(20):
            answer = await shop.post("/v1/purchases", json=purchase("li", f"p-{number}"))
            assert code(answer, 503) == "overloaded"
        assert time.perf_counter() - begun > 1.0


async def test_when_all_connections_are_served_the_next_is_told_to_come_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with face(database_url, log_level="critical") as shop:
        await shop.member(member_id="li")
        await shop.aclose()
        monkeypatch.setattr(Connection, "most", 10)
        served = [await _open(shop.url) for _ in range(10)]
        for _, writer in served:
            writer.write(_head("/v1/purchases", method="POST", length=1_000))
        await asyncio.sleep(0.3)
        async with Face(shop.url) as late:
            answer = await late.get("/v1/members/li/balance")
            assert code(answer, 503) == "overloaded"
            assert answer.headers["retry-after"] == "1"
            served[0][1].close()
            await asyncio.sleep(0.2)
            assert (await late.get("/v1/members/li/balance")).status_code == 200
        for _, writer in served:
            writer.close()


async def test_a_key_with_many_calls_under_way_is_told_to_wait_and_the_others_are_not(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "UNDER_WAY_A_KEY", 8)
    async with face(database_url, log_level="critical") as shop:
        member = await shop.member()
        other = await shop.member()
        owner = await asyncpg.connect(database_url)
        async with Face(shop.url, await shop.key("pos")) as greedy:
            async with owner.transaction():
                await owner.fetch("select 1 from loyalty.account where account = 1 for update")
                sent = [
                    asyncio.create_task(greedy.post("/v1/purchases", json=purchase(member, f"p-{number}")))
                    for number in range(12)
                ]
                await asyncio.sleep(0.5)
                refused = [task.result() for task in sent if task.done()]
                assert [code(answer, 503) for answer in refused] == ["overloaded"] * 4
                assert {answer.headers["retry-after"] for answer in refused} == {"1"}
                assert (await shop.get(f"/v1/members/{other}/balance")).status_code == 200
            await owner.close()
            answers = await asyncio.gather(*sent)
            assert sorted(answer.status_code for answer in answers) == [201] * 8 + [503] * 4
            await greedy.post("/v1/purchases", json=purchase(member, "p-13"))
            assert (await greedy.get(f"/v1/members/{member}/balance")).json()["balance"] == 900


@pytest.mark.slow
async def test_thousands_of_connections_that_call_all_the_time_do_not_slow_the_others(
    database_url: str,
) -> None:
    async with process(database_url, log_level="error") as (_, url), Face(url) as shop:
        await shop.member(member_id="li")
        key = await shop.key("pos")
        greedy = [await _open(url) for _ in range(3_000)]
        ended = asyncio.Event()
        answered = 0

        async def call(connection: Open) -> None:
            nonlocal answered
            reader, writer = connection
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while not ended.is_set():
                    writer.write(_head("/v1/members/li/balance", key))
                    await reader.readuntil(b"\r\n\r\n")
                    answered += 1
                    await asyncio.sleep(3)

        calls = [asyncio.create_task(call(one)) for one in greedy]
        await asyncio.sleep(1)
        times: list[float] = []
        for number in range(40):
            begun = time.monotonic()
            await shop.buy("li", f"p-{number}")
            times.append(time.monotonic() - begun)
        ended.set()
        for task in calls:
            task.cancel()
        gone: Any = await asyncio.gather(*calls, return_exceptions=True)
        for _, writer in greedy:
            writer.close()
        assert answered > 2_000
        assert sorted(times)[len(times) // 2] < 1.0, times
        assert len(gone) == 3_000
