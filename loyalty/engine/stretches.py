"""Work that tills go before: it is done in stretches. While tills are served the stretches are short, one at a time,
and followed by rests, so that a till meets one short stretch at most, and seldom one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

RECENT_SECONDS = 5.0
"""Tills count as there for so long after they were last seen."""
REST = 4.0
"""Beside tills a rest takes at most so many times as long as the stretch did: a fifth of the time is for the work."""


class Stretches:
    """The turns of all work of one kind.

    alone, beside: how much a stretch holds without tills, and beside them. at_once: stretches under way without tills.
    tills: whether any are there. until_idle: waits until they ask for nothing, at most so many seconds.
    """

    def __init__(
        self,
        alone: int,
        beside: int,
        at_once: int,
        tills: Callable[[], bool],
        until_idle: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._alone = alone
        self._beside = beside
        self._some = asyncio.Semaphore(at_once)
        self._one = asyncio.Lock()
        self._tills = tills
        self._until_idle = until_idle

    @asynccontextmanager
    async def next(self) -> AsyncIterator[int]:
        """Waits for a turn and gives how much it may hold. Who waits longest comes first."""
        async with self._some:
            if not self._tills():
                yield self._alone
                return
            async with self._one:
                begun = asyncio.get_running_loop().time()
                yield self._beside
                await self._until_idle((asyncio.get_running_loop().time() - begun) * REST)
