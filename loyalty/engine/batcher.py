"""Batches form by themselves: what queued while the last commit was under way goes together into the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from loyalty.acts import Actor
from loyalty.engine.answers import Answer
from loyalty.engine.batch import RETRY_AFTER_SECONDS
from loyalty.engine.item import Item
from loyalty.errors import LoyaltyError, Overloaded
from loyalty.types import Request

MOST = 64
"""Requests in a batch."""
SECOND_FROM = 32
"""How many must wait before a second batch goes while one is under way. Batches of 16 cost half as much again a request
as batches of 32, in this process and in Postgres."""
QUEUE = 4096
"""Requests that may wait; beyond it they are refused at once, with Retry-After."""


class Batcher:
    """The queue before the write path. One for each process."""

    def __init__(self, run: Callable[[Sequence[Item]], Awaitable[None]]) -> None:
        self._run = run
        self._queue: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Requests that have not been taken into a batch yet."""
        return len(self._queue)

    async def submit(self, request: Request, actor: Actor | None = None) -> Answer:
        """Waits for the request's answer. A caller that goes away does not stop what is under way.

        actor: who is written down as having done it, if it is an administrative act.
        """
        if len(self._queue) >= QUEUE:
            raise Overloaded(
                "Too many requests wait for the ledger. Try again.", retry_after=RETRY_AFTER_SECONDS
            )
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((Item(request, actor), future))
        self._start()
        return await future

    async def drain(self) -> None:
        """Waits until everything that was submitted is answered."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _start(self) -> None:
        while self._queue and (
            not self._under_way or (len(self._under_way) == 1 and len(self._queue) >= SECOND_FROM)
        ):
            batch = [self._queue.popleft() for _ in range(min(MOST, len(self._queue)))]
            task = asyncio.create_task(self._serve(batch))
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._start()

    async def _serve(self, batch: list[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        try:
            await self._run([item for item, _ in batch])
        finally:
            for item, future in batch:
                if future.done():
                    continue
                if isinstance(item.outcome, Answer):
                    future.set_result(item.outcome)
                elif isinstance(item.outcome, LoyaltyError):
                    future.set_exception(item.outcome)
                else:
                    future.set_exception(
                        Overloaded(
                            "The server stopped before this was answered. Send it again, with the same id.",
                            retry_after=RETRY_AFTER_SECONDS,
                        )
                    )
                # A caller that went away leaves nobody to look at the exception.
                future.exception() if future.done() and not future.cancelled() else None
