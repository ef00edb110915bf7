"""Requests that meet: submitted at once, over one engine or several, and what came of them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from loyalty.engine.answers import Answer
from loyalty.engine.engine import Engine
from loyalty.errors import LoyaltyError
from loyalty.types import Request
from tests.builders import told


async def meet(engines: Sequence[Engine], requests: Sequence[Request], *, alone: bool = False) -> list[Any]:
    """Submits requests at once, spread over engines; with `alone` each in a batch of its own."""

    async def one(engine: Engine, request: Request) -> Any:
        try:
            if alone:
                (outcome,) = await engine.submit_many([request])
                return told(outcome) if isinstance(outcome, Answer) else outcome
            return told(await engine.submit(request))
        except LoyaltyError as error:
            return error

    return await asyncio.gather(*(one(engines[at % len(engines)], it) for at, it in enumerate(requests)))


def codes(outcomes: Sequence[Any]) -> Counter[str]:
    """How often each came: created, replayed, or a problem's code."""
    return Counter(
        outcome.code if isinstance(outcome, LoyaltyError) else "replayed" if outcome.replayed else "created"
        for outcome in outcomes
    )
