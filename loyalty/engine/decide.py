"""Which decision serves which request."""

from loyalty.engine.adjust import record_adjustment, record_opening_tier
from loyalty.engine.claims import cancel_claim, record_claim
from loyalty.engine.context import Context
from loyalty.engine.engage import record_engagement
from loyalty.engine.record import record_purchase
from loyalty.engine.redeem import capture, record_redemption, release, reverse
from loyalty.engine.returns import record_return, record_unlinked_return
from loyalty.ledger.book import Book
from loyalty.ledger.store import RequestKey
from loyalty.types import (
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Engagement,
    OpeningTier,
    Purchase,
    Redemption,
    Release,
    Request,
    Return,
    Reversal,
    UnlinkedReturn,
)


def decide(
    context: Context, book: Book, request: Request, fingerprint: bytes, key: RequestKey | None
) -> tuple[bytes, bool]:
    """Posts a normalised request into the book. Returns the answer and whether it was given before."""
    match request:
        case Purchase():
            return record_purchase(context, book, request, fingerprint), False
        case Redemption():
            return record_redemption(context, book, request, fingerprint), False
        case Return():
            return record_return(context, book, request, fingerprint), False
        case UnlinkedReturn():
            return record_unlinked_return(context, book, request, fingerprint), False
        case Capture():
            return capture(context, book, request)
        case Release():
            return release(context, book, request)
        case Reversal():
            return reverse(context, book, request, fingerprint)
        case Adjustment():
            return record_adjustment(context, book, request, fingerprint), False
        case Engagement():
            return record_engagement(context, book, request, fingerprint), False
        case OpeningTier():
            assert key is not None
            return record_opening_tier(context, book, request, key[1], fingerprint), False
        case Claim():
            return record_claim(context, book, request, fingerprint), False
        case Cancellation():
            return cancel_claim(context, book, request)
