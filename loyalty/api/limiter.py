"""Rate limits for keys. With Redis they hold over all servers; without it, or while it is away, each counts by itself.

A server draws a twentieth of a second's worth at once from Redis and hands it out itself, so that a busy key costs
twenty questions a second and not one a request; what it does not hand out within a second lapses. An answer of Redis is
waited for `REDIS_SECONDS` at most: slow or gone it is left alone for a while, and no request fails for it.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from loyalty.errors import RateLimited
from loyalty.keys import Identity
from loyalty.rates import Bucket

if TYPE_CHECKING:
    from loyalty.api.shared_rates import SharedRates

REDIS_SECONDS = 0.25
ALONE_SECONDS = 2.0
"""How long Redis is left alone after it failed."""
LEASES_A_SECOND = 20
LEASE_SECONDS = 1.0
MOST_KEYS = 10_000

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Lease:
    """What this process holds of one key's rate."""

    bucket: Bucket = field(default_factory=Bucket)
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)
    left: int = 0
    until: float = 0.0
    refused_until: float = 0.0


class Limiter:
    """Counts the calls of keys whose role has a rate, in requests a second. Close it."""

    def __init__(self, rates: dict[str, int], redis_url: str | None) -> None:
        self._rates = rates
        self._leases: dict[str, _Lease] = {}
        self._away_until = 0.0
        self._shared = None if redis_url is None else _shared(redis_url)

    async def close(self) -> None:
        """Disconnect."""
        if self._shared is not None:
            await self._shared.close()

    async def take(self, caller: Identity) -> None:
        """Count one call. Raises RateLimited, with the seconds to wait, when the key's rate is used up."""
        rate = self._rates.get(caller.role)
        if rate is None:
            return
        lease = self._lease(caller.key_id)
        if not self._from_lease(lease):
            async with lease.drawing:
                if not self._from_lease(lease):  # else one who waited before has drawn for us too
                    await self._draw(lease, caller.key_id, rate)

    def _from_lease(self, lease: _Lease) -> bool:
        now = time.monotonic()
        if now < lease.refused_until:
            raise _limited(lease.refused_until - now)
        if lease.left > 0 and now < lease.until:
            lease.left -= 1
            return True
        return False

    async def _draw(self, lease: _Lease, key_id: str, rate: int) -> None:
        granted, wait = await self._ask(lease, key_id, rate)
        now = time.monotonic()
        if granted == 0:
            lease.refused_until = now + wait
            raise _limited(wait)
        lease.left, lease.until = granted - 1, now + LEASE_SECONDS

    async def _ask(self, lease: _Lease, key_id: str, rate: int) -> tuple[int, float]:
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    return await self._shared.take(key_id, rate, max(1, rate // LEASES_A_SECOND))
            except (OSError, TimeoutError) as error:
                self._away_until = time.monotonic() + ALONE_SECONDS
                log.warning("redis_away", error=repr(error))
        return lease.bucket.take(time.monotonic(), rate, 1)

    def _lease(self, key_id: str) -> _Lease:
        lease = self._leases.get(key_id)
        if lease is None:
            if len(self._leases) >= MOST_KEYS:
                now = time.monotonic()
                self._leases = {
                    key: one
                    for key, one in self._leases.items()
                    if one.until > now or one.refused_until > now
                }
            lease = self._leases[key_id] = _Lease()
        return lease


def _shared(redis_url: str) -> "SharedRates":
    from loyalty.api.shared_rates import SharedRates  # not read, nor paid for, without Redis

    return SharedRates(redis_url)


def _limited(wait: float) -> RateLimited:
    return RateLimited(
        f"This key calls more often than it may. Try again in {wait:.3f} seconds.",
        retry_after=max(1, round(wait + 0.5)),
    )
