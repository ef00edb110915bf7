"""What every verb needs to reach the ledger: connections, the number of shards, and the programs known so far."""

import asyncpg

from loyalty.engine.programs import Programs, load_programs
from loyalty.members.vault import Vault


class Access:
    """One process's way to the ledger. `programs_known` is replaced as newer versions are met."""

    def __init__(self, pool: asyncpg.Pool, shards: int, programs: Programs, vault: Vault) -> None:
        self.pool = pool
        self.vault = vault
        self.shards = shards
        self.programs_known = programs

    async def programs(self) -> Programs:
        """All versions of the program, as the database has them now."""
        async with self.pool.acquire() as connection:
            self.programs_known = await load_programs(connection, self.programs_known)
        return self.programs_known
