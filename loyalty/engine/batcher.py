"""Batches form by themselves: what queued while the last commit was under way goes together into the next."""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import NamedTuple

from loyalty.acts import Actor
from loyalty.engine.answers import Answer
from loyalty.engine.batch import RETRY_AFTER_SECONDS
from loyalty.engine.item import Item
from loyalty.engine.turns import Turns
from loyalty.errors import LoyaltyError, Overloaded
from loyalty.types import Request

MOST = 64
"""Requests in a batch."""
SECOND_FROM = 32
"""How many must wait before a second batch goes while one is under way. Batches of 16 cost half as much again a request
as batches of 32, in this process and in Postgres."""
QUEUE = 4096
"""Requests that may wait; beyond it they are refused at once, with Retry-After."""
QUEUE_OF_ONE = 256
"""The same of the requests about one account."""


class Waiting(NamedTuple):
    """A request that waits. `account`: the name that it calls its account by, or what it is about."""

    item: Item
    account: Hashable
    answer: "asyncio.Future[Answer]"


Run = Callable[[Sequence[Item], bool], Awaitable[None]]
"""Gives items their outcomes. Told not to be patient, it leaves those whose accounts somebody else has locked."""


class Batcher:
    """The queue before the write path. One for each process."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._turns: Turns[Waiting] = Turns()
        self._locked: list[Waiting] = []
        """Those whose accounts somebody else has locked. They wait for that in batches of their own."""
        self._under_way: set[asyncio.Task[None]] = set()
        self._for_locks: asyncio.Task[None] | None = None
        """The one of those under way that waits for locks."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._answered_at = -math.inf

    @property
    def waiting(self) -> int:
        """Requests that have not been taken into a batch yet."""
        return len(self._turns) + len(self._locked)

    async def submit(self, request: Request, actor: Actor | None = None, client: str = "") -> Answer:
        """Waits for the request's answer. A caller that goes away does not stop what is under way.

        actor: who is written down as having done it, if it is an administrative act. client: who takes turns with the
        others. Raises Overloaded when too many wait, of all or of the same account.
        """
        item = Item(request, actor)
        account = item.address.member or item.address.subject
        if self.waiting >= QUEUE or self._turns.waiting_about(account) >= QUEUE_OF_ONE:
            raise Overloaded(
                "Too many requests wait for the ledger. Try again.", retry_after=RETRY_AFTER_SECONDS
            )
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._turns.add(Waiting(item, account, answer), account, client)
        self._idle.clear()
        self._start()
        try:
            return await answer
        finally:
            # A refusal's traceback leads here. Without these it would lead on to itself, and be garbage for long.
            del item, answer

    def served_within(self, seconds: float) -> bool:
        """Whether a request is under way, or was within the last seconds."""
        return not self._idle.is_set() or asyncio.get_running_loop().time() - self._answered_at < seconds

    async def until_idle(self, seconds: float) -> None:
        """Waits until no request is under way, at most for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def drain(self) -> None:
        """Waits until everything that was submitted is answered."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _start(self) -> None:
        while ready := self._turns.ready:
            quick = len(self._under_way) - (self._for_locks is not None)
            if quick > 1 or (quick == 1 and ready < SECOND_FROM):
                break
            self._go(self._turns.take(MOST))
        if self._locked and self._for_locks is None:
            batch, self._locked = self._locked[:MOST], self._locked[MOST:]
            self._for_locks = self._go(batch, patient=True)

    def _go(self, batch: list[Waiting], patient: bool = False) -> asyncio.Task[None]:
        task = asyncio.create_task(self._serve(batch, patient))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if task is self._for_locks:
            self._for_locks = None
        self._start()
        if not self._under_way:
            self._answered_at = asyncio.get_running_loop().time()
            self._idle.set()

    async def _serve(self, batch: list[Waiting], patient: bool) -> None:
        """Runs a batch and gives the answers; what it did not wait for is put aside, unless it is patient."""
        locked: list[Waiting] = []
        try:
            await self._run([waiting.item for waiting in batch], patient)
            if not patient:
                locked = [waiting for waiting in batch if waiting.item.outcome is None]
        finally:
            for waiting in batch:
                if waiting.item.outcome is not None or not locked:
                    _tell(waiting)
            self._locked += locked
            self._turns.back({waiting.account for waiting in batch} - {waiting.account for waiting in locked})


def _tell(waiting: Waiting) -> None:
    outcome, answer = waiting.item.outcome, waiting.answer
    if answer.done():  # the caller went away
        return
    if isinstance(outcome, Answer):
        answer.set_result(outcome)
        return
    if not isinstance(outcome, LoyaltyError):
        outcome = Overloaded(
            "The server stopped before this was answered. Send it again, with the same id.",
            retry_after=RETRY_AFTER_SECONDS,
        )
    answer.set_exception(outcome)
    answer.exception()  # a caller that goes away now leaves nobody to look at it
