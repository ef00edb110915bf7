"""Stopping without a lost answer: readiness says it first, then the server waits for the balancer, then it stops."""

import asyncio
import signal
from types import FrameType
from typing import Any

import structlog

log = structlog.get_logger()


class Stopping:
    """Whether this process was asked to stop. `drain_seconds`: how long it goes on to serve after that."""

    def __init__(self, drain_seconds: float) -> None:
        self.asked = False
        self._drain_seconds = drain_seconds
        self._before: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Take the signal that asks to stop before the HTTP server gets it. Does nothing outside the main thread."""
        self._loop = asyncio.get_running_loop()
        try:
            before = signal.signal(signal.SIGTERM, self._on_signal)
        except ValueError:
            return
        self._before[signal.SIGTERM] = before

    def close(self) -> None:
        """Put back what was there."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        before = self._before.get(number)
        if self.asked or self._drain_seconds == 0 or self._loop is None:
            self.asked = True
            self._pass_on(before, number, frame)
            return
        self.asked = True
        log.info("stop_asked", drain_seconds=self._drain_seconds)
        self._loop.call_soon_threadsafe(
            self._loop.call_later, self._drain_seconds, self._pass_on, before, number, frame
        )

    @staticmethod
    def _pass_on(before: Any, number: int, frame: FrameType | None) -> None:
        if callable(before):
            before(number, frame)
