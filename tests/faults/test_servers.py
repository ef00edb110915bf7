"""Promise 9: servers are killed with -9 under load, and two or three of them share one database."""

from loyalty.db.embedded import embedded_postgres
from tests.faults.harness import LONG, Ground
from tests.faults.load import Load

KILLS = 10 if LONG else 1


async def test_the_server_is_killed_under_load(ground: Ground) -> None:
    server = await ground.serve()

    async def kill(load: Load) -> None:
        for _ in range(KILLS):
            await load.more(40)
            await server.kill()
            ground.faults += 1
            await server.start()
            await ground.again(load)

    await ground.settle(await ground.load(kill))


async def test_two_servers_get_every_request_at_the_same_time(ground: Ground) -> None:
    await ground.serve(2)

    async def nothing(load: Load) -> None:
        await load.more(50)

    await ground.settle(await ground.load(nothing, twins=True))


async def test_three_servers_share_a_database_and_are_killed_in_turn(ground: Ground) -> None:
    await ground.serve(3)

    async def kill_in_turn(load: Load) -> None:
        for turn in range(KILLS):
            await load.more(40)
            server = ground.servers[turn % 3]
            await server.kill()
            ground.faults += 1
            await ground.again(load)
            await server.start()

    await ground.settle(await ground.load(kill_in_turn, twins=True))


async def test_the_server_is_killed_and_its_embedded_postgres_with_it(ground: Ground) -> None:
    server = await ground.serve(embedded=True)

    async def kill(load: Load) -> None:
        for _ in range(KILLS):
            await load.more(40)
            await server.kill()
            ground.faults += 1
            await server.start()
            await ground.again(load)

    load = await ground.load(kill)
    async with embedded_postgres(ground.folder / ".loyalty") as ground.url:
        await ground.settle(load)
