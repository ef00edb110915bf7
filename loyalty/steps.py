"""Where the time goes: named steps of the work, told to whoever listens. Nobody listening costs a comparison."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

StepSpan = AbstractContextManager[Any]

_SILENCE: StepSpan = nullcontext()


class Listeners:
    """`heard` is told each step's name, seconds and facts; `traced` makes a span of a step and its facts."""

    heard: Callable[[str, float, dict[str, int]], None] | None = None
    traced: Callable[[str, dict[str, int]], StepSpan] | None = None


def step(name: str, **facts: int) -> StepSpan:
    """A step of this name lasts as long as the `with` block. `facts` are numbers that belong to it."""
    if Listeners.heard is None and Listeners.traced is None:
        return _SILENCE
    return _Step(name, facts)


class _Step:
    __slots__ = ("_facts", "_name", "_span", "_started")

    def __init__(self, name: str, facts: dict[str, int]) -> None:
        self._name = name
        self._facts = facts
        self._span: StepSpan = _SILENCE

    def __enter__(self) -> None:
        if Listeners.traced is not None:
            self._span = Listeners.traced(self._name, self._facts)
        self._span.__enter__()
        self._started = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._started
        self._span.__exit__(kind, error, trace)
        if Listeners.heard is not None:
            Listeners.heard(self._name, seconds, self._facts)
