"""Points into rewards: claims, which give a voucher, and their cancellation."""

from loyalty.engine.answers import CancellationAnswer, ClaimAnswer, VoucherAnswer
from loyalty.engine.context import Context, balance_answer
from loyalty.engine.facts import ClaimFacts, claim_facts, to_text
from loyalty.engine.redeem import may_redeem
from loyalty.engine.standing import standing_of_head
from loyalty.errors import InsufficientPoints, UnknownClaim, UnknownReward, VoucherUsed
from loyalty.ledger.book import Book
from loyalty.rewards.codes import new_code
from loyalty.rewards.model import valid_until
from loyalty.rewards.store import CancelledRow, VoucherRow
from loyalty.types import Cancellation, Claim


def record_claim(context: Context, book: Book, claim: Claim, fingerprint: bytes) -> bytes:
    """Takes a reward's price in points and gives a voucher. Raises before anything moved."""
    offer = context.offers.get(claim.reward_id)
    if offer is None:
        raise UnknownReward(f"No reward is called {claim.reward_id}.")
    may_redeem(book)
    at, terms = book.recorded_at, offer.terms
    version = context.programs.at(at)
    offer.check(version.calendar.day(at), standing_of_head(version, book.head).tier)
    if terms.points > book.available:
        raise InsufficientPoints(
            f"{claim.reward_id} costs {terms.points} points and {book.available} are available.",
            available=book.available,
            missing=terms.points - book.available,
        )
    voucher = VoucherAnswer(new_code(), valid_until(terms, version.calendar, at))
    book.begin("claim", claim.claim_id, None, at, version.version)
    number = book.head.number
    context.uses[book.account, number] = book.redeem(terms.points)
    answer = context.told(
        lambda: ClaimAnswer(
            claim.claim_id, book.head.member_id, offer.reward_id, terms.name, terms.kind, terms.points, terms.amount,
            voucher, balance_answer(book), at,
        )
    )  # fmt: skip
    counted = not terms.unlimited
    facts = ClaimFacts(
        offer.reward_id, offer.version, terms.points, voucher.code, counted, voucher.valid_until
    )
    context.remember(book.close(facts=to_text(facts), answer=answer, fingerprint=fingerprint))
    offer.stock -= counted
    context.settlement.vouchers.append(
        VoucherRow(
            voucher.code, book.account, number, claim.claim_id, offer.reward_id, offer.version, counted,
            voucher.valid_until, at,
        )
    )  # fmt: skip
    return answer


def cancel_claim(context: Context, book: Book, request: Cancellation) -> tuple[bytes, bool]:
    """Gives a claim's points back, to the lives that they had, and makes its voucher void.

    Returns the answer and whether it was given before. Raises UnknownClaim, or VoucherUsed.
    """
    history = context.subjects.get((book.account, request.claim_id), [])
    claimed = next((posting for posting in history if posting.kind == "claim"), None)
    if claimed is None:
        raise UnknownClaim(f"No claim {request.claim_id} is recorded.")
    ended = next((posting for posting in history if posting.kind == "cancellation"), None)
    if ended is not None and ended.answer is not None:
        return ended.answer, True
    voucher = context.vouchers.get(request.claim_id)
    if voucher is not None and voucher.ending == "used":
        raise VoucherUsed(
            f"The voucher of claim {request.claim_id} was used; what was given for it does not come back so.",
            used_at=voucher.ended_at,
            use_id=voucher.use_id,
        )
    at, facts = book.recorded_at, claim_facts(claimed.facts)
    version = context.programs.at(at)
    book.begin("cancellation", None, request.claim_id, at, version.version)
    uses = context.uses[claimed.account, claimed.number]
    book.restore(uses, facts.points, 0, context.lives_given_back(book, at))
    answer = context.told(
        lambda: CancellationAnswer(
            request.claim_id, book.head.member_id, facts.reward_id, facts.points, balance_answer(book), at
        )
    )
    number = book.head.number
    context.remember(book.close(facts="{}", answer=answer))
    context.settlement.cancelled.append(CancelledRow(facts.code, book.account, number))
    if facts.counted and facts.reward_id in context.offers:
        context.offers[facts.reward_id].stock += 1
    return answer, False
