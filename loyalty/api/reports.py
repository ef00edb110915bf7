"""Reports for finance."""

from loyalty.api.accounts import AsOf, read_as_of
from loyalty.api.auth import OPS
from loyalty.api.contract import call
from loyalty.api.reading import Call, context
from loyalty.api.reply import Reply, reply
from loyalty.engine.answers import Liability


@call(
    "GET",
    "/v1/reports/liability",
    roles=OPS,
    tag="Reports",
    query=AsOf,
    answers={200: Liability},
)
async def report_liability(request: Call) -> Reply:
    """Report the points outstanding by tier and by month of expiry, and the sums that prove them."""
    at = read_as_of(request)
    return reply(await context(request).engine.liability(at.as_of, at.known_at))


HANDLERS = (report_liability,)
