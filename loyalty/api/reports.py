"""Reports for finance and for those who look after members."""

from typing import Annotated

from msgspec import Meta, Struct, field

from loyalty.api.accounts import AsOf, read_as_of
from loyalty.api.auth import OPS
from loyalty.api.contract import call
from loyalty.api.reading import Call, PageLimit, context, read_query
from loyalty.api.reply import Reply, reply
from loyalty.engine.answers import Liability
from loyalty.engine.reward_figures import reward_report
from loyalty.engine.tier_answers import TierWarnings
from loyalty.errors import FutureTime
from loyalty.rewards.answers import RewardReport
from loyalty.types import Instant


class Within(Struct, frozen=True, forbid_unknown_fields=True):
    """Verdicts due in the next `within_days` days. `cursor` is the `next_cursor` of the page before."""

    within_days: Annotated[int, Meta(ge=1, le=366)] = 30
    cursor: str | None = None
    limit: PageLimit = 50


class Claimed(Struct, frozen=True, forbid_unknown_fields=True):
    """Claims made from `from` up to `until`, and without it; left out: no bound."""

    from_: Annotated[Instant, Meta(description="Claims made from then on.")] | None = field(
        name="from", default=None
    )
    until: Annotated[Instant, Meta(description="Claims made before then.")] | None = None


@call(
    "GET",
    "/v1/reports/liability",
    roles=OPS,
    tag="Reports",
    query=AsOf,
    answers={200: Liability},
    problems=(FutureTime,),
)
async def report_liability(request: Call) -> Reply:
    """Report the points outstanding by tier and by month of expiry, and the sums that prove them."""
    at = read_as_of(request)
    return reply(await context(request).engine.liability(at.as_of, at.known_at))


@call(
    "GET",
    "/v1/reports/tier-warnings",
    roles=OPS,
    tag="Reports",
    query=Within,
    answers={200: TierWarnings},
)
async def report_tier_warnings(request: Call) -> Reply:
    """Report the members whose tier would fall soon if they bought nothing more, and what they need to keep it.

    Soonest first.
    """
    asked = read_query(request, Within)
    return reply(await context(request).engine.tier_warnings(asked.within_days, asked.cursor, asked.limit))


@call(
    "GET",
    "/v1/reports/rewards",
    roles=OPS,
    tag="Reports",
    query=Claimed,
    answers={200: RewardReport},
)
async def report_rewards(request: Call) -> Reply:
    """Report how often each reward was claimed, what became of the vouchers, and the points that were paid."""
    asked = read_query(request, Claimed)
    return reply(await reward_report(context(request).engine, asked.from_, asked.until))


HANDLERS = (report_liability, report_rewards, report_tier_warnings)
