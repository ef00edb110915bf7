"""Work that several processes share: they are started at once, fed a few pieces ahead, and ended with the whole."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

LOST = "A process was ended from outside. If memory is short, use fewer: --processes 1."


class ProcessLostError(Exception):
    """One of the processes was ended from outside, as by a machine that is short of memory."""


class Processes:
    """So many processes, from 1; they start at once, and end with the `with` block that holds them.

    start: readies each, with the arguments: it calls `ready`, and leaves all that may fail to the work: an error in it
    would only be told as a lost process.
    """

    def __init__(self, number: int, start: Callable[..., None], *arguments: object) -> None:
        self._number = number
        self._pool = ProcessPoolExecutor(
            number, mp_context=get_context("spawn"), initializer=start, initargs=arguments
        )
        for _ in range(number):
            self._pool.submit(_nothing)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        # What is under way is for the pool to cancel: it stumbles over what others cancelled if it has to end the
        # processes that are left.
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def share(self, work: Callable[[T], R], pieces: Iterator[T]) -> AsyncIterator[R]:
        """What `work` makes of each piece, as it comes. An error of `work` ends it all, as it is: of several that of
        the piece that was taken first, since that may be what made the others fail.

        Args:
            work: called in the processes; it, what it takes and what it returns can be pickled.
            pieces: none of them None; taken in a thread, since they may be read from a file.

        Raises:
            ProcessLostError: one of the processes was ended from outside.
        """
        loop = asyncio.get_running_loop()
        under_way: list[asyncio.Future[R]] = []
        try:
            # A few ahead, so that no process waits and no result piles up.
            while True:
                while len(under_way) <= 2 * self._number:
                    piece = await asyncio.to_thread(next, pieces, None)
                    if piece is None:
                        break
                    coming = loop.run_in_executor(self._pool, work, piece)
                    coming.add_done_callback(_look_at)
                    under_way.append(coming)
                if not under_way:
                    return
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                done = [one for one in under_way if one.done()]
                under_way = [one for one in under_way if not one.done()]
                for one in done:
                    yield one.result()
        except BrokenExecutor:
            raise ProcessLostError(LOST) from None


def ready() -> asyncio.AbstractEventLoop:
    """Makes this process one that works for its parent and ends with it. Returns an event loop for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()  # rows make no cycles; what does is collected between pieces
    return asyncio.new_event_loop()


def cores() -> int:
    """How many processes are worth starting."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _nothing() -> None:
    """Makes a process start."""


def _look_at(one: asyncio.Future[R]) -> None:
    """An error after the first is nobody's to read."""
    if not one.cancelled():
        one.exception()


def _end_with_parent() -> None:
    """A transaction left open would keep locks, and the database from cleaning up."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
