"""What became of the rewards that were claimed: how many were used, what they cost in points. Nothing is written."""

from collections import defaultdict
from datetime import datetime

from loyalty.engine.access import Access
from loyalty.ledger import store as ledger
from loyalty.rewards import store
from loyalty.rewards.answers import RewardFigures, RewardReport


async def reward_report(engine: Access, from_at: datetime | None, until: datetime | None) -> RewardReport:
    """What became of the claims made from `from_at` up to `until`, and without it; None: no bound."""
    async with (
        engine.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        now = await ledger.ledger_now(connection)
        offers = await store.offers(connection)
        found = defaultdict(list)
        for tally in await store.tallies(connection, from_at, until, now):
            found[tally.reward_id].append(tally)
    figures = []
    for reward_id, offer in offers.items():
        tallies = found[reward_id]
        claims, used, cancelled, expired = (
            sum(counts) for counts in zip((0, 0, 0, 0), *(one.counts for one in tallies), strict=True)
        )
        figures.append(
            RewardFigures(
                reward_id=reward_id,
                name=offer.terms.name,
                kind=offer.terms.kind,
                stock=offer.left,
                claims=claims,
                open=claims - used - cancelled - expired,
                used=used,
                cancelled=cancelled,
                expired=expired,
                points=sum(one.terms.points * (one.claims - one.cancelled) for one in tallies),
                amount=sum((one.terms.amount or 0) * one.used for one in tallies),
            )
        )
    return RewardReport(now, from_at, until, figures)
