"""Promises 7 and 9: clients that hang up in the middle of a request, or before its answer, and may never come back."""

from tests.faults.harness import Ground
from tests.faults.load import Load


async def test_clients_hang_up_in_mid_request(ground: Ground) -> None:
    server = await ground.serve()

    async def nothing(load: Load) -> None:
        await load.more(50)

    load = await ground.load(nothing, rude=0.4)
    ground.faults = load.seen["hung up"]
    await ground.settle(load)
    assert ground.faults > 0
    assert server.runs
