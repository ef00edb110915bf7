"""Makes a failing run short: delta debugging over its steps, then over the requests of its batches."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from .steps import Step, Submit


async def shrink(
    steps: list[Step], fails: Callable[[list[Step]], Awaitable[bool]], seconds: float = 60
) -> list[Step]:
    """Delta debugging: fewer steps that still fail, first halves, then ever smaller parts, then within batches."""
    until = time.monotonic() + seconds
    steps = [steps[0], *await _reduce(steps[1:], lambda some: fails([steps[0], *some]), until)]
    singles: list[Step] = []
    for step in steps:
        if isinstance(step, Submit) and len(step.requests) > 1:
            singles += [Submit(step.at, (one,), False) for one in step.requests]
        else:
            singles.append(step)
    if len(singles) > len(steps):
        if await fails(singles):
            return await _reduce(singles, fails, until)
        for place, step in enumerate(steps):
            if isinstance(step, Submit) and len(step.requests) > 1:

                async def fails_with(found: list[Any], place: int = place, step: Submit = step) -> bool:
                    smaller = Submit(step.at, tuple(found), step.together)
                    return await fails([*steps[:place], smaller, *steps[place + 1 :]])

                kept = await _reduce(list(step.requests), fails_with, until)
                steps[place] = Submit(step.at, tuple(kept), step.together)
    return steps


async def _reduce(items: list[Any], fails: Callable[[list[Any]], Awaitable[bool]], until: float) -> list[Any]:
    size = max(1, len(items) // 2)
    while time.monotonic() < until:
        place, smaller = 0, False
        while place < len(items) and time.monotonic() < until:
            fewer = items[:place] + items[place + size :]
            if fewer and await fails(fewer):
                items, smaller = fewer, True
            else:
                place += size
        if size == 1 and not smaller:
            break
        size = max(1, size // 2)
    return items
