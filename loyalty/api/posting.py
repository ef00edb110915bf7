"""The way from handlers to the write path: in the name of the key that calls, as keys take turns there."""

from loyalty.api.auth import caller
from loyalty.api.reading import Call, context
from loyalty.engine.answers import Answer
from loyalty.types import Request


async def submit(request: Call, asked: Request) -> Answer:
    """Post what was asked. Raises LoyaltyError if it is refused."""
    return await context(request).engine.submit(asked, caller(request).key_id)
