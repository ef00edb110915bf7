"""Promises 9 and 12: batches run side by side with the tills, are killed half-way, and are run again."""

import asyncio
from functools import partial

import msgspec

from tests.faults.harness import LONG, Ground
from tests.faults.load import Load
from tests.faults.processes import command
from tests.faults.wire import Call

DAYS = 40
"""After so many all that was earned before has expired, and the tiers are due."""
ROUNDS = 5 if LONG else 1
JOB_SECONDS = 100.0
CROWD = 3_000 if LONG else 700
"""Members enough for several chunks of a batch."""


async def _job_ends_well(ground: Ground, kind: str, server: int = 0) -> bool:
    """Start a job by way of a server, or join the one under way, and wait for its end."""
    reply = await ground.ask(Call("POST", f"/v1/jobs/{kind}"), server)
    assert reply.status == 202, reply
    job_id = msgspec.json.decode(reply.body)["job_id"]
    async with asyncio.timeout(JOB_SECONDS):
        while True:
            told = msgspec.json.decode((await ground.ask(Call("GET", f"/v1/jobs/{job_id}"), server)).body)
            if told["status"] not in ("queued", "running"):
                return bool(told["status"] == "done")
            await asyncio.sleep(0.2)


async def _is_nothing_due(ground: Ground) -> None:
    code, printed = await command(ground.url, "expire", "--dry-run", cwd=ground.folder)
    assert code == 0, printed
    assert all(line.split()[-1] == "0" for line in printed.splitlines() if line.startswith("points")), printed


async def test_two_expiry_batches_and_a_review_beside_the_tills(ground: Ground) -> None:
    await ground.serve(2)

    async def all_at_once(load: Load) -> None:
        for _ in range(ROUNDS):
            await load.more(150)
            await ground.move_clock(DAYS)
            (first, _), (second, _), *jobs = await asyncio.gather(
                command(ground.url, "expire", cwd=ground.folder),
                command(ground.url, "expire", cwd=ground.folder),
                _job_ends_well(ground, "expiry", 0),
                _job_ends_well(ground, "tier-review", 1),
            )
            assert (first, second, *jobs) == (0, 0, True, True)
            ground.faults += 4

    load = await ground.load(all_at_once, clock_moves=True)
    await ground.settle(load)


async def test_an_expiry_batch_is_killed_half_way_and_run_again(ground: Ground) -> None:
    await ground.serve()

    async def kill_it(load: Load) -> None:
        for _ in range(ROUNDS):
            await load.more(50)
            await ground.move_clock(DAYS)
            before = await _expired(ground)
            half_way = partial(_more_expired, ground, before)
            code, _ = await command(ground.url, "expire", cwd=ground.folder, kill_when=half_way)
            ground.faults += code != 0
            code, printed = await command(ground.url, "expire", cwd=ground.folder)
            assert code == 0, printed

    load = await ground.load(kill_it, clock_moves=True, crowd=CROWD)
    assert ground.faults > 0, "it was never killed half-way"
    await _is_nothing_due(ground)
    await ground.settle(load)


async def test_a_server_is_killed_in_the_middle_of_its_job(ground: Ground) -> None:
    server = await ground.serve()

    async def kill_it(load: Load) -> None:
        await load.more(50)
        await ground.move_clock(DAYS)
        half_way = partial(_more_expired, ground, await _expired(ground))
        reply = await ground.ask(Call("POST", "/v1/jobs/expiry"))
        assert reply.status == 202, reply
        for _ in range(3_000):
            if await half_way():
                break
            await asyncio.sleep(0.01)
        await server.kill()
        ground.faults += 1
        await server.start()
        # The one under way died with its server; once that is known, the next takes up what it left.
        assert not await _job_ends_well(ground, "expiry")
        assert await _job_ends_well(ground, "expiry")

    await ground.settle(await ground.load(kill_it, clock_moves=True, crowd=CROWD))


async def _expired(ground: Ground) -> int:
    return await ground.count("select count(*) from loyalty.posting where kind = 'expiry'")


async def _more_expired(ground: Ground, before: int) -> bool:
    return await _expired(ground) > before + CROWD // 2
