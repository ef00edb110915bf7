"""Servers come and go: restarted in turn under load, started at once on nothing, stopped without a database."""

import asyncio
import signal
import time

import asyncpg

from tests.faults.harness import LONG, Ground
from tests.faults.load import Load
from tests.faults.processes import Server
from tests.faults.wire import Call

ROUNDS = 4 if LONG else 1
RETRIES = 12
"""A standard client's: with pauses of 0.02 to 0.3 s, each attempt at one of three servers."""


async def test_three_servers_are_restarted_in_turn_under_load(ground: Ground) -> None:
    await ground.serve(3)

    async def restart_in_turn(load: Load) -> None:
        for _ in range(ROUNDS):
            for server in ground.servers:
                await load.more(20)
                await server.stop()
                ground.faults += 1
                await ground.again(load)
                await server.start()

    load = await ground.load(restart_in_turn)
    assert load.seen["answer lost"] == 0, "what a stopping server did it also answered"
    assert load.seen["503"] == 0, load.seen
    assert max(sent.attempts for sent in load.sent) <= RETRIES
    await ground.settle(load)


async def test_three_servers_start_at_once_on_an_empty_database(ground: Ground) -> None:
    name = f"{ground.database}_empty"
    await ground.postgres.execute(f'create database "{name}" template template0')
    servers = [
        Server(ground.postgres.url(name), ground.folder / f"at-once-{number}.log") for number in range(3)
    ]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        connection = await asyncpg.connect(ground.postgres.url(name))
        names = [row[0] for row in await connection.fetch("select name from loyalty.migration")]
        versions = await connection.fetchval("select count(*) from loyalty.program_version")
        await connection.close()
        assert len(names) == len(set(names)) > 0
        assert versions == 1, "the starter program, once"
        ground.servers += servers
        for number in range(3):
            assert (await ground.ask(Call("GET", "/health/ready"), number)).status == 200
        assert [server.defects() for server in servers] == [[], [], []]
    finally:
        await asyncio.gather(*(server.stop() for server in servers))
        await ground.postgres.drop(name)


async def test_a_server_stops_in_bounded_time_although_the_database_is_away(ground: Ground) -> None:
    server = await ground.serve()
    assert (await ground.ask(Call("GET", "/health/ready"))).status == 200
    await ground.postgres.do(ground.postgres.stop_at_once)
    try:
        begun = time.monotonic()
        assert server._process is not None
        server._process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(server._process.wait(), 20)
        assert time.monotonic() - begun < 20
    finally:
        await ground.postgres.do(ground.postgres.start)
