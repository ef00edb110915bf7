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


class UnknownReward(LoyaltyError):
    code = "unknown-reward"
    title = "No such reward"


class UnknownClaim(LoyaltyError):
    code = "unknown-claim"
    title = "No such claim"


class UnknownVoucher(LoyaltyError):
    code = "unknown-voucher"
    title = "No such voucher"


class RewardNotAvailable(LoyaltyError):
    """Facts: `claimable_from` and `claimable_until`, the first local day and the first after; null: no bound."""

    code = "reward-not-available"
    title = "This reward cannot be claimed today"


class RewardNotForTier(LoyaltyError):
    """Facts: the member's `tier`, and the `tiers` that the reward is for."""

    code = "reward-not-for-tier"
    title = "This reward is for other tiers"


class OutOfStock(LoyaltyError):
    """Facts: the `stock` that is left."""

    code = "out-of-stock"
    title = "Too few of this reward are left"


class VoucherUsed(LoyaltyError):
    """Facts: `used_at`, and the `use_id` that it was used under."""

    code = "voucher-used"
    title = "This voucher was used already"


class VoucherCancelled(LoyaltyError):
    """Facts: `cancelled_at`."""

    code = "voucher-cancelled"
    title = "The claim of this voucher was cancelled"


class VoucherExpired(LoyaltyError):
    """Facts: `valid_until`."""

    code = "voucher-expired"
    title = "This voucher is no longer valid"


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
