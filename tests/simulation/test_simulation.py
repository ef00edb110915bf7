"""The simulation for a fixed short time: no difference between engine and model, and no promise broken."""

import os

import pytest

from tests.simulation.simulate import simulate

SECONDS = float(os.environ.get("SIMULATE_SECONDS", "20"))
SEED = int(os.environ.get("SIMULATE_SEED", "1"))


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
async def test_engine_and_model_agree_on_every_answer(postgres_url: str) -> None:
    tally = await simulate(postgres_url, SECONDS, SEED, count=2_000)
    assert tally.steps > 0
    assert not tally.failures, tally.failures[0]
