"""Points into money: redemptions, holds and their endings, reversals, and redemptions inside a purchase."""

from dataclasses import dataclass
from datetime import timedelta

from loyalty.engine.answers import RedemptionAnswer, ReversalAnswer, encode
from loyalty.engine.context import Context, balance_answer
from loyalty.engine.facts import (
    EndFacts,
    RedemptionFacts,
    ReversalFacts,
    end_facts,
    redemption_facts,
    return_facts,
    reversal_facts,
    to_text,
)
from loyalty.engine.programs import ProgramVersion
from loyalty.engine.requests import fingerprint as fingerprint_of
from loyalty.errors import (
    HoldEnded,
    IdConflict,
    InsufficientPoints,
    InvalidRequest,
    MemberBlocked,
    UnknownRedemption,
)
from loyalty.ledger.book import Book
from loyalty.ledger.state import Hold
from loyalty.ledger.store import SubjectPosting
from loyalty.program.model import RedemptionPolicy
from loyalty.rules.redeem import check_redemption, points_for_amount
from loyalty.types import Capture, Purchase, Redemption, Release, Reversal

ENDINGS = ("capture", "release", "timeout")


@dataclass(slots=True)
class InBasket:
    """A redemption inside a purchase: new, or the capture of a hold."""

    redemption_id: str
    points: int
    amount: int
    hold: Hold | None
    debt_repaid: int = 0


def _wanted(
    policy: RedemptionPolicy | None,
    points: int | None,
    amount: int | None,
    available: int,
    basket: int | None,
) -> tuple[int, int]:
    """The points and the money of a redemption that is allowed. Raises RedemptionNotAllowed, InsufficientPoints."""
    if points is None:
        assert amount is not None, "validated: points or amount"
        points = points_for_amount(policy, amount, available, basket)
    return points, check_redemption(policy, points, available, basket)


def may_redeem(book: Book) -> None:
    """Refuses blocked members."""
    if book.head.status == "blocked":
        raise MemberBlocked(
            "This member is blocked: purchases earn and goods come back, but points are not redeemed."
        )


def record_redemption(context: Context, book: Book, redemption: Redemption, fingerprint: bytes) -> bytes:
    """Spends points now, or holds them until the hold's end."""
    may_redeem(book)
    at = book.recorded_at
    version = context.programs.at(at)
    policy = version.program.redemption
    points, amount = _wanted(
        policy, redemption.points, redemption.amount, book.available, redemption.basket_amount
    )
    until = at + timedelta(seconds=redemption.hold_seconds) if redemption.hold else None
    book.begin("redemption", redemption.redemption_id, None, at, version.version)
    if until is None:
        context.uses[book.account, book.head.number] = book.redeem(points)
    else:
        hold = book.hold(redemption.redemption_id, points, until)
        context.uses[book.account, book.head.number] = hold.uses
    answer = RedemptionAnswer(
        redemption.redemption_id,
        book.head.member_id,
        "held" if redemption.hold else "captured",
        points,
        amount,
        balance_answer(book),
        **({} if until is None else {"until": until}),
    )
    body = encode(answer)
    facts = to_text(RedemptionFacts(points, amount, until))
    context.remember(book.close(facts=facts, answer=body, fingerprint=fingerprint))
    return body


def plan_in_basket(
    context: Context, book: Book, version: ProgramVersion, purchase: Purchase, total: int
) -> InBasket:
    """What a purchase's redemption comes to; nothing moves yet."""
    wanted = purchase.redemption
    assert wanted is not None
    may_redeem(book)
    id, policy = wanted.redemption_id, version.program.redemption
    hold = book.holds.get(id)
    if hold is None:
        history = context.subjects.get((book.account, id), [])
        if any(found.kind in ENDINGS for found in history):
            raise HoldEnded(f"The hold {id} has ended already and cannot pay for this purchase.")
        if any(found.kind == "redemption" for found in history):
            raise IdConflict(
                f"Redemption {id} was recorded before, without this purchase. Use an id of its own."
            )
        points, amount = _wanted(policy, wanted.points, wanted.amount, book.available, total)
        return InBasket(id, points, amount, None)
    asked = hold.points if wanted.points is None and wanted.amount is None else wanted.points
    available = book.available + hold.points
    points, amount = _wanted(policy, asked, wanted.amount, available, total)
    if points > hold.points:
        raise InsufficientPoints(
            f"The hold {id} has {hold.points} points and cannot pay {points}.",
            available=hold.points,
            missing=points - hold.points,
        )
    return InBasket(id, points, amount, hold)


def redeem_in_basket(
    context: Context,
    book: Book,
    version: ProgramVersion,
    purchase: Purchase,
    planned: InBasket,
    fingerprint: bytes,
) -> None:
    """Posts what `plan_in_basket` planned, as a posting beside the purchase's."""
    at, id = purchase.occurred_at, planned.redemption_id
    if planned.hold is not None:
        planned.debt_repaid = _capture(
            context, book, version, planned.hold, planned.points, planned.amount, purchase.purchase_id
        )
        return
    book.begin("redemption", id, purchase.purchase_id, at, version.version)
    context.uses[book.account, book.head.number] = book.redeem(planned.points)
    answer = RedemptionAnswer(
        id, book.head.member_id, "captured", planned.points, planned.amount, balance_answer(book)
    )
    context.remember(
        book.close(
            facts=to_text(RedemptionFacts(planned.points, planned.amount)),
            answer=encode(answer),
            # The same id by a call of its own is another request.
            fingerprint=fingerprint_of(b"in purchase " + fingerprint),
        )
    )


def _capture(
    context: Context,
    book: Book,
    version: ProgramVersion,
    hold: Hold,
    points: int,
    amount: int,
    purchase_id: str | None = None,
) -> int:
    at = book.recorded_at
    book.begin("capture", None, hold.redemption_id, at, version.version)
    repaid = book.end_hold(hold, points, context.lives_given_back(book, at))
    answer = RedemptionAnswer(
        hold.redemption_id, book.head.member_id, "captured", points, amount, balance_answer(book)
    )
    context.remember(book.close(facts=to_text(EndFacts(points, amount, purchase_id)), answer=encode(answer)))
    return repaid


def _history(context: Context, book: Book, redemption_id: str) -> list[SubjectPosting]:
    found = [
        posting
        for posting in context.subjects.get((book.account, redemption_id), [])
        if posting.kind in ("redemption", "reversal", *ENDINGS)
    ]
    if not found or found[0].kind != "redemption":
        raise UnknownRedemption(f"No redemption {redemption_id} is recorded.")
    return found


def capture(context: Context, book: Book, request: Capture) -> tuple[bytes, bool]:
    """Spends a hold. Returns the answer and whether it was given before."""
    history = _history(context, book, request.redemption_id)
    hold = book.holds.get(request.redemption_id)
    if hold is None:
        return _ended(history, "capture", request.points)
    points = hold.points if request.points is None else request.points
    if points > hold.points:
        raise InsufficientPoints(
            f"The hold has {hold.points} points and {points} were to be captured.",
            available=hold.points,
            missing=points - hold.points,
        )
    version = context.programs.at(book.recorded_at)
    taken = redemption_facts(history[0].facts)
    amount = taken.amount * points // taken.points
    _capture(context, book, version, hold, points, amount)
    answer = context.journal.postings[-1].answer
    assert answer is not None
    return answer, False


def release(context: Context, book: Book, request: Release) -> tuple[bytes, bool]:
    """Gives a hold's points back. Returns the answer and whether it was given before."""
    history = _history(context, book, request.redemption_id)
    hold = book.holds.get(request.redemption_id)
    if hold is None:
        return _ended(history, "release", None)
    at = book.recorded_at
    version = context.programs.at(at)
    book.begin("release", None, hold.redemption_id, at, version.version)
    book.end_hold(hold, 0, context.lives_given_back(book, at))
    body = encode(
        RedemptionAnswer(hold.redemption_id, book.head.member_id, "released", 0, 0, balance_answer(book))
    )
    context.remember(book.close(facts=to_text(EndFacts(0, 0)), answer=body))
    return body, False


def _ended(history: list[SubjectPosting], wanted: str, points: int | None) -> tuple[bytes, bool]:
    """The same ending again gets the same answer; another is refused."""
    redeemed = redemption_facts(history[0].facts)
    end = next((posting for posting in history if posting.kind in ENDINGS), None)
    if end is None:
        raise HoldEnded("This redemption was not held: its points were spent at once.", status="captured")
    same = end.kind == wanted and (
        wanted != "capture" or end_facts(end.facts).points == (redeemed.points if points is None else points)
    )
    if same and end.answer is not None:
        return end.answer, True
    status = {"capture": "captured", "release": "released", "timeout": "timed_out"}[end.kind]
    raise HoldEnded(f"This hold has ended already: it was {status.replace('_', ' ')}.", status=status)


def reverse(context: Context, book: Book, request: Reversal, fingerprint: bytes) -> tuple[bytes, bool]:
    """Gives back what a captured redemption spent. Returns the answer and whether it was given before."""
    history = _history(context, book, request.redemption_id)
    if request.points is not None and request.reversal_id is None:
        raise InvalidRequest("A reversal of a part needs a reversal_id, so that repeating it is safe.")
    taken = redemption_facts(history[0].facts)
    points, amount = taken.points, taken.amount
    if taken.until is not None:
        end = next((posting for posting in history if posting.kind in ENDINGS), None)
        if end is None:
            raise HoldEnded("This hold is open: release it instead of reversing it.", status="held")
        ended = end_facts(end.facts)
        points, amount = ended.points, ended.amount
        if not points:
            raise HoldEnded(
                "Nothing of this hold was captured, so there is nothing to reverse.", status="released"
            )
    already = restored_so_far(context, book, history)
    left = points - already
    wanted = left if request.points is None else request.points
    if request.reversal_id is None and not left:
        last = next((posting for posting in reversed(history) if posting.kind == "reversal"), None)
        if last is not None and last.id is None and last.answer is not None:
            return last.answer, True
    if wanted > left or not left:
        raise InsufficientPoints(
            f"{left} of this redemption's {points} points are left to reverse.",
            available=left,
            missing=max(wanted - left, 0),
        )
    at = book.recorded_at
    version = context.programs.at(at)
    uses = context.uses[history[0].account, history[0].number]
    # The part of a hold that was not captured went back already, last used first.
    skip = already + (taken.points - points)
    worth = amount * (already + wanted) // points - amount * already // points
    book.begin("reversal", request.reversal_id, request.redemption_id, at, version.version)
    book.restore(uses, wanted, skip, context.lives_given_back(book, at))
    if book.head.status == "erased":
        # Nobody stands behind the account who could spend them.
        book.forfeit()
    answer = ReversalAnswer(
        request.redemption_id,
        book.head.member_id,
        "reversed" if wanted == left else "captured",
        wanted,
        worth,
        balance_answer(book),
        **({} if request.reversal_id is None else {"reversal_id": request.reversal_id}),
    )
    body = encode(answer)
    context.remember(
        book.close(
            facts=to_text(ReversalFacts(wanted, worth)),
            answer=body,
            fingerprint=None if request.reversal_id is None else fingerprint,
        )
    )
    return body, False


def restored_so_far(context: Context, book: Book, history: list[SubjectPosting]) -> int:
    """Points of a redemption given back already, by reversals and by returns of the goods that it paid for."""
    restored = sum(reversal_facts(posting.facts).points for posting in history if posting.kind == "reversal")
    purchase_id = paid_purchase(history)
    if purchase_id is not None:
        about = context.subjects.get((book.account, purchase_id), [])
        returns = [
            posting for posting in about if posting.kind == "return" and posting.subject == purchase_id
        ]
        if returns:
            restored += return_facts(returns[-1].facts).restored_points
    return restored


def paid_purchase(history: list[SubjectPosting]) -> str | None:
    """The purchase that a redemption paid for, if it was made inside one."""
    for posting in history:
        if posting.kind == "redemption" and posting.subject is not None:
            return posting.subject
        if posting.kind == "capture":
            return end_facts(posting.facts).purchase_id
    return None
