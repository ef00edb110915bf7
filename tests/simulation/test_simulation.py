"""The simulation for a fixed short time: no difference between engine and model, and no promise broken."""

import os

import pytest

from tests.simulation.hunt import Plan
from tests.simulation.many import simulate_here

SECONDS = float(os.environ.get("SIMULATE_SECONDS", "20"))
SEED = int(os.environ.get("SIMULATE_SEED", "1"))


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
async def test_engine_and_model_agree_on_every_answer(postgres_url: str) -> None:
    tally = await simulate_here(Plan(postgres_url, SECONDS, SEED, steps=1_500), print)
    assert tally.steps > 0
    assert not tally.failures, tally.failures[0]
