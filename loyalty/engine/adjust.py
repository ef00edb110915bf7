"""What ops do by hand: adjustments of points, and the tier that a member brings along from before."""

import msgspec

from loyalty.engine.answers import AdjustmentAnswer, TierAnswer, encode
from loyalty.engine.context import Context, balance_answer
from loyalty.engine.facts import AdjustmentFacts, to_text
from loyalty.engine.standing import apply_change, standing_of_head
from loyalty.errors import FieldError, InsufficientPoints, InvalidRequest
from loyalty.ledger.book import Book
from loyalty.ledger.life import Life, life_of
from loyalty.tiers.assess import given
from loyalty.tiers.model import Reason
from loyalty.types import MAX_AMOUNT, Adjustment, OpeningTier


def record_adjustment(context: Context, book: Book, request: Adjustment, fingerprint: bytes) -> bytes:
    """Adds points with an expiry, or takes available ones."""
    if not request.points:
        raise InvalidRequest(
            "An adjustment adds or takes at least one point.",
            errors=[FieldError("points", "0 changes nothing")],
        )
    at = book.recorded_at
    version = context.programs.at(at)
    life: Life | None = None
    if request.points > 0:
        if book.head.balance + request.points > MAX_AMOUNT:
            raise InvalidRequest("The account would hold more than 2^53 points.")
        # Adjusted points are never pending, so their life starts now.
        points = msgspec.structs.replace(version.program.points, pending_days=0)
        life = life_of(points, version.calendar, at, at)
        life = Life(at, request.expires_at or life.expires_at, life.idle and request.expires_at is None)
        ends_at = context.programs.idle_deadline(book.head.active_at or at) if life.idle else life.expires_at
        if ends_at is not None and ends_at <= at:
            raise InvalidRequest(
                "Points that are added must live beyond now.",
                errors=[FieldError("expires_at", f"{ends_at.isoformat()} is not after {at.isoformat()}")],
            )
    elif -request.points > book.available:
        raise InsufficientPoints(
            f"{-request.points} points were to be taken and {book.available} are available.",
            available=book.available,
            missing=-request.points - book.available,
        )
    book.begin("adjustment", request.adjustment_id, None, at, version.version)
    book.adjust(request.points, life)
    answer = encode(
        AdjustmentAnswer(
            request.adjustment_id,
            book.head.member_id,
            request.points,
            request.reason,
            balance_answer(book),
            at,
        )
    )
    facts = to_text(AdjustmentFacts(request.points, request.reason, request.expires_at))
    context.remember(book.close(facts=facts, answer=answer, fingerprint=fingerprint))
    return answer


def record_opening_tier(
    context: Context, book: Book, request: OpeningTier, id: str, fingerprint: bytes
) -> bytes:
    """Puts a member into the tier held before this ledger began."""
    context.check_time(request.since)
    version = context.programs.at(request.since)
    if request.tier not in {tier.id for tier in version.program.tiers}:
        raise InvalidRequest(
            "The program has no such tier.",
            errors=[FieldError("tier", f"{request.tier!r} is none of the program's tiers")],
        )
    reason: Reason = "import"
    standing = standing_of_head(version, book.head)
    change = given(
        version.program,
        version.calendar,
        request.tier,
        request.since,
        previous=standing.tier,
        reason=reason,
        valid_until=request.valid_until,
    )
    book.begin("opening", id, None, request.since, version.version)
    apply_change(context, version, book, change)
    answer = encode(TierAnswer(request.tier, standing.tier))
    context.remember(book.close(facts="{}", answer=answer, fingerprint=fingerprint))
    return answer
