"""Whether others write to the ledger while a batch does: tills, as far as they can be seen from another process."""

import time
from collections.abc import Sequence

import asyncpg

from loyalty.db.sql import query
from loyalty.engine.stretches import RECENT_SECONDS

LOOK_SECONDS = 0.5
"""Until it has looked for so long, a batch goes as slowly as if others wrote."""


class Others:
    """Who else writes, as of the last looks."""

    def __init__(self) -> None:
        self._seen_at = time.monotonic() + LOOK_SECONDS - RECENT_SECONDS

    def are_there(self) -> bool:
        """Whether any were seen lately."""
        return time.monotonic() - self._seen_at < RECENT_SECONDS

    async def look(self, connection: asyncpg.Connection, ours: Sequence[int] = ()) -> None:
        """Looks whether any write at this moment. ours: backends that do not count, beside the connection's own."""
        if await connection.fetchval(query("others_write"), ours):
            self._seen_at = time.monotonic()
