"""The engine: everything that can be done with the ledger, one method a verb."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import asyncpg

from loyalty.acts import acting
from loyalty.db.connect import open_pool
from loyalty.db.sql import query
from loyalty.engine import (
    archive,
    erase,
    expire,
    explain,
    export,
    liability,
    merge,
    outlook,
    quote,
    reads,
    review,
    timeouts,
)
from loyalty.engine.access import Access
from loyalty.engine.answers import (
    Answer,
    EntryPage,
    EventExplanation,
    Explanation,
    Liability,
    PurchasePage,
    PurchaseRecord,
    RedemptionRecord,
    encode,
)
from loyalty.engine.balances import Balances
from loyalty.engine.batch import run_batch
from loyalty.engine.batcher import Batcher
from loyalty.engine.export import Export
from loyalty.engine.item import Item
from loyalty.engine.past_due import Counts, Progress
from loyalty.engine.programs import Programs, ProgramVersion, ensure_program, load_programs, put_program
from loyalty.engine.stretches import RECENT_SECONDS, Stretches
from loyalty.engine.tier_answers import TierStanding, TierWarnings
from loyalty.errors import Internal, LoyaltyError
from loyalty.ledger import store
from loyalty.members.identity import parse_reference
from loyalty.members.vault import SealingKey, Vault
from loyalty.rules.words import Audience
from loyalty.types import Adjustment, Cancellation, Claim, Purchase, Request, Return

FAREWELL_SECONDS = 5.0
UPLOAD_CHUNK, UPLOAD_BESIDE_TILLS = 128, 32
"""Requests of an upload that are posted together: while there are no tills, and beside them."""
UPLOADS_AT_ONCE = 2
"""Without tills: one is decided while the other is made durable."""


class Engine(Access):
    """Everything that can be done with a ledger. Open it with `Engine.open`, and close it."""

    def __init__(self, pool: asyncpg.Pool, shards: int, programs: Programs, vault: Vault) -> None:
        super().__init__(pool, shards, programs, vault)
        self.batcher = Batcher(self._run)
        self.claims = Batcher(self._run)
        """Claims of one reward wait for each other. In batches of their own, nobody else waits with them."""
        self._balances = Balances(self)
        self.uploads = Stretches(
            UPLOAD_CHUNK,
            UPLOAD_BESIDE_TILLS,
            UPLOADS_AT_ONCE,
            lambda: self.batcher.served_within(RECENT_SECONDS),
            self.batcher.until_idle,
        )
        """The turns of uploads: what `submit_many` is given there holds up no till."""

    @classmethod
    async def open(cls, database_url: str, vault: Vault | None = None, *, pool_size: int = 10) -> "Engine":
        """Connects to a migrated database, which gets the starter program if it has none.

        vault: what opens personal data; without it members are found by their member_id alone.
        """
        pool = await open_pool(database_url, size=pool_size)
        async with pool.acquire() as connection:
            await ensure_program(connection)
            shards = await store.shards(connection)
            return cls(pool, shards, await load_programs(connection), vault or Vault())

    async def close(self) -> None:
        """Answers what is under way, then disconnects; from a database that says nothing, without its farewell."""
        await self.batcher.drain()
        await self.claims.drain()
        try:
            await asyncio.wait_for(self.pool.close(), FAREWELL_SECONDS)
        except (TimeoutError, OSError, asyncpg.InterfaceError):
            self.pool.terminate()

    async def _run(self, items: Sequence[Item], patient: bool) -> None:
        await run_batch(self, items, patient)

    async def submit(self, request: Request, client: str = "") -> Answer:
        """Posts one request, together with its neighbours. Raises LoyaltyError if it is refused.

        client: who sends it; when many wait, clients take turns.
        """
        actor = acting.get() if isinstance(request, Adjustment) else None
        batcher = self.claims if isinstance(request, Claim | Cancellation) else self.batcher
        return await batcher.submit(request, actor, client)

    async def submit_many(
        self, requests: Sequence[Request], at_once: int = UPLOAD_CHUNK
    ) -> list[Answer | LoyaltyError]:
        """Posts many requests in order, each whole or not at all; refused ones come back as errors in their places.

        at_once: how many share a transaction. Where there may be tills, wait for a turn of `uploads` first.
        """
        outcomes: list[Answer | LoyaltyError] = []
        for start in range(0, len(requests), at_once):
            items = [Item(request) for request in requests[start : start + at_once]]
            await asyncio.shield(run_batch(self, items))
            outcomes.extend(item.outcome or Internal("This request was not answered.") for item in items)
        return outcomes

    async def quote(self, request: Purchase | Return) -> bytes:
        """What a purchase or a return would do, as its receipt; nothing is written."""
        return await quote.quote(self, request)

    async def now(self) -> datetime:
        """The ledger's clock."""
        async with self.pool.acquire() as connection:
            return await store.ledger_now(connection)

    # -- the program -----------------------------------------------------------------------------------------------

    async def put_program(
        self,
        source: str,
        format: Literal["toml", "json"],
        effective_from: datetime | None = None,
        author: str | None = None,
        note: str | None = None,
    ) -> ProgramVersion:
        """Adds a version of the program. Raises InvalidRequest, with its diagnostics, if it cannot be."""
        async with self.pool.acquire() as connection:
            version = await put_program(connection, source, format, effective_from, author, note)
        await self.programs()
        return version

    # -- what is due -----------------------------------------------------------------------------------------------

    async def expire(
        self, through: datetime | None = None, dry_run: bool = False, progress: Progress | None = None
    ) -> Counts:
        """Posts everything that fell due up to `through` (at most now), in chunks that can be stopped and repeated."""
        return await expire.expire(self, through, dry_run, progress)

    async def review_tiers(
        self, through: datetime | None = None, dry_run: bool = False, progress: Progress | None = None
    ) -> Counts:
        """Posts every tier verdict that fell due up to `through`; see `loyalty.engine.review` for what it counts."""
        return await review.review_tiers(self, through, dry_run, progress)

    async def time_out_holds(
        self, through: datetime | None = None, dry_run: bool = False, progress: Progress | None = None
    ) -> Counts:
        """As `expire`, for the accounts with a hold that has ended."""
        return await timeouts.time_out_holds(self, through, dry_run, progress)

    async def archive(
        self, before: datetime, dry_run: bool = False, progress: Progress | None = None
    ) -> Counts:
        """Moves the texts of postings recorded before an instant to the archive; see `loyalty.engine.archive`."""
        return await archive.archive(self, before, dry_run, progress)

    # -- reads -----------------------------------------------------------------------------------------------------

    async def balance(
        self, member: str, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> bytes:
        """A member's balance, lots and holds as JSON (`Balance`), with what is due counted as posted."""
        if as_of is None and known_at is None:
            return await self._balances.read(member)
        return encode(await reads.balance(self, member, as_of, known_at))

    async def tier(self, member: str) -> TierStanding:
        """A member's tier, how far the next one is, and the history."""
        return await reads.tier(self, member)

    async def entries(self, member: str, cursor: str | None = None, limit: int = 50) -> EntryPage:
        """A member's entries, newest first."""
        return await reads.entries(self, member, cursor, limit)

    async def purchases(self, member: str, cursor: str | None = None, limit: int = 50) -> PurchasePage:
        """A member's purchases, newest first."""
        return await reads.purchases(self, member, cursor, limit)

    async def purchase(self, purchase_id: str) -> PurchaseRecord:
        """What was recorded of a purchase, its returns, and the explanation of every point."""
        return await reads.purchase(self, purchase_id)

    async def explanation(
        self,
        purchase_id: str,
        verify: bool = False,
        words: Audience | None = None,
        language: str = "en",
    ) -> Explanation:
        """Why a purchase earned what it did; with `verify`, the decision is made again and compared.

        With `words` also in sentences for the member or for staff.
        """
        return await explain.explanation(self, purchase_id, verify, words, language)

    async def event_explanation(
        self, event_id: str, verify: bool = False, words: Audience | None = None, language: str = "en"
    ) -> EventExplanation:
        """As `explanation`, of an event."""
        return await explain.event_explanation(self, event_id, verify, words, language)

    async def redemption(self, redemption_id: str) -> RedemptionRecord:
        """A redemption as it stands: held, captured, released or timed out, and what was reversed."""
        return await reads.redemption(self, redemption_id)

    async def liability(self, as_of: datetime | None = None, known_at: datetime | None = None) -> Liability:
        """Outstanding points by tier and month of expiry, and the sums that prove them."""
        return await liability.liability(self, as_of, known_at)

    async def tier_warnings(
        self, within_days: int = 30, cursor: str | None = None, limit: int = 50
    ) -> TierWarnings:
        """Members whose tier would fall within so many days if they bought nothing more, and what they need."""
        return await outlook.tier_warnings(self, within_days, cursor, limit)

    # -- people ----------------------------------------------------------------------------------------------------

    async def merge(self, member: str, into: str) -> str:
        """Merges a member into another; returns the member_id that stays."""
        return await merge.merge(self, member, into)

    async def token_for(self, member: str) -> tuple[str, SealingKey]:
        """Whose data a token for `member` opens, by member_id, and the key that seals it. Raises UnknownMember."""
        name = parse_reference(member)
        async with self.pool.acquire() as connection:
            _, account = await reads.where_is(self, connection, member)
            row = await connection.fetchrow(query("token_for"), account)
        # The id that was merged away goes on to be that member's: paths take it too.
        return name.value if name.scheme == "id" else row["member_id"], self.vault.key(row["secret_id"])

    async def export(self, member: str) -> Export:
        """Everything that is recorded of a member, as one value."""
        return await export.export(self, member)

    async def erase(self, member: str) -> int:
        """Forgets a member; returns the points forfeited."""
        return await erase.erase(self, member)
