"""The simulation for a fixed short time: no difference between engine and model, and no promise broken."""

import os
from datetime import timedelta

import pytest

from tests.simulation.databases import Databases
from tests.simulation.hunt import Plan, replay
from tests.simulation.many import simulate_here
from tests.simulation.steps import PutProgram
from tests.simulation.world import World

SECONDS = float(os.environ.get("SIMULATE_SECONDS", "20"))
SEED = int(os.environ.get("SIMULATE_SEED", "1"))


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
async def test_engine_and_model_agree_on_every_answer(postgres_url: str) -> None:
    tally = await simulate_here(Plan(postgres_url, SECONDS, SEED, steps=1_500), print)
    assert tally.steps > 0
    assert not tally.failures, tally.failures[0]


async def test_a_run_may_end_with_a_version_of_the_program(postgres_url: str) -> None:
    databases = Databases(postgres_url)
    await databases.prepare()
    try:
        steps = list(World(1, 1).first())
        last = steps[-1].at + timedelta(days=30)
        again = PutProgram(last, next(step.source for step in steps if isinstance(step, PutProgram)), None)
        assert await replay(databases, [*steps, again], 1) is None
    finally:
        await databases.close()
