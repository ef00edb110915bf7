"""What can go wrong, one class for each `code` that clients switch on. They carry facts; the API makes HTTP of them."""

from collections.abc import Sequence
from typing import Any, ClassVar

from msgspec import Struct


class FieldError(Struct, frozen=True):
    """One thing wrong in the input: where (`lines[2].amount`) and what, telling how to mend it."""

    path: str
    message: str


class LoyaltyError(Exception):
    """A request that is refused. Nothing of its own was written.

    `detail` is a sentence for people; `facts` are extra members of the problem, for machines.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.facts = facts


class InvalidRequest(LoyaltyError):
    code = "invalid-request"
    title = "The request is not valid"


class Unauthenticated(LoyaltyError):
    code = "unauthenticated"
    title = "A valid key is needed"


class Forbidden(LoyaltyError):
    code = "forbidden"
    title = "This key may not do that"


class NotFound(LoyaltyError):
    code = "not-found"
    title = "Not found"


class UnknownMember(LoyaltyError):
    code = "unknown-member"
    title = "No such member"


class UnknownPurchase(LoyaltyError):
    code = "unknown-purchase"
    title = "No such purchase"


class UnknownRedemption(LoyaltyError):
    code = "unknown-redemption"
    title = "No such redemption"


class IdConflict(LoyaltyError):
    code = "id-conflict"
    title = "This id was used for something else"


class MemberExists(LoyaltyError):
    code = "member-exists"
    title = "This member or identifier exists already"


class MergeConflict(LoyaltyError):
    code = "merge-conflict"
    title = "These members cannot be merged"


class HoldEnded(LoyaltyError):
    code = "hold-ended"
    title = "This hold has ended already"


class InsufficientPoints(LoyaltyError):
    """Facts: `available` and `missing`, in points."""

    code = "insufficient-points"
    title = "Not enough points"


class RedemptionNotAllowed(LoyaltyError):
    """Facts: `rule` (the setting broken, such as `min_points`) and `max_points`."""

    code = "redemption-not-allowed"
    title = "The program does not allow this redemption"


class MemberBlocked(LoyaltyError):
    code = "member-blocked"
    title = "This member is blocked"


class ReturnExceedsPurchase(LoyaltyError):
    code = "return-exceeds-purchase"
    title = "More comes back than was bought"


class ReturnNotAllowed(LoyaltyError):
    code = "return-not-allowed"
    title = "The program does not allow this return"


class FutureTime(LoyaltyError):
    code = "future-time"
    title = "This lies in the future"


class ClockNotForward(LoyaltyError):
    code = "clock-not-forward"
    title = "The clock only goes forward"


class TooLarge(LoyaltyError):
    code = "too-large"
    title = "The body is too large"


class UnsupportedMediaType(LoyaltyError):
    code = "unsupported-media-type"
    title = "This content type is not read here"


class RateLimited(LoyaltyError):
    code = "rate-limited"
    title = "Too many requests"


class Overloaded(LoyaltyError):
    """Facts: `retry_after`, in seconds."""

    code = "overloaded"
    title = "Too busy just now"


class Internal(LoyaltyError):
    """A defect of ours. The detail never tells internals; the log does."""
