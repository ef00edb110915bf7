"""Goods come back: what the member keeps is what the kept part of the basket would have earned (DESIGN, Returns).

The split of lines is exact (`Fraction`), the totals are floored cumulatively, so that any split of a full return comes
to the same as the whole.
"""

from dataclasses import dataclass
from fractions import Fraction

from loyalty.engine.answers import ReturnReceipt
from loyalty.engine.context import Context, balance_answer
from loyalty.engine.facts import (
    LineBack,
    PurchaseFacts,
    ReturnFacts,
    UnlinkedReturnFacts,
    purchase_facts,
    redemption_facts,
    return_facts,
)
from loyalty.engine.programs import ProgramVersion
from loyalty.engine.record import tier_answer
from loyalty.engine.redeem import restored_so_far
from loyalty.engine.standing import count_return, tier_in_force
from loyalty.errors import (
    FieldError,
    InvalidRequest,
    ReturnExceedsPurchase,
    ReturnNotAllowed,
    UnknownPurchase,
)
from loyalty.ledger.book import Book
from loyalty.ledger.store import SubjectPosting
from loyalty.rules.award import explain, rounding_text
from loyalty.rules.facts import Facts, JudgedLine
from loyalty.tiers.model import Qualifying
from loyalty.types import Purchase, PurchaseLine, Return, ReturnLine, UnlinkedReturn


@dataclass(slots=True)
class Back:
    """How much of one line has come back."""

    quantity: Fraction = Fraction(0)
    amount: int = 0


def record_return(context: Context, book: Book, request: Return, fingerprint: bytes) -> bytes:
    """Takes goods of a known purchase back and returns the receipt. Raises before anything moved."""
    context.check_time(request.occurred_at)
    about = context.subjects.get((book.account, request.purchase_id), [])
    bought = next((posting for posting in about if posting.kind == "purchase"), None)
    if bought is None:
        raise UnknownPurchase(
            f"No purchase {request.purchase_id} is recorded. If it is on its way, send this again later."
        )
    if request.occurred_at < bought.occurred_at:
        raise ReturnNotAllowed(
            f"The return is dated before its purchase ({bought.occurred_at.isoformat()}). Check occurred_at."
        )
    facts = purchase_facts(bought.facts)
    before = _state(about, request.purchase_id, facts)
    back = {line.line: Back(Fraction(line.quantity), line.amount) for line in before.back}
    lines = {line.line: line for line in facts.purchase.lines if line.line is not None}
    if request.lines is None:
        if all(_is_back(line, back) for line in lines.values()):
            raise ReturnExceedsPurchase(f"All of purchase {request.purchase_id} has come back already.")
        back = {number: Back(Fraction(line.quantity), line.amount) for number, line in lines.items()}
    else:
        for place, wanted in enumerate(request.lines):
            _take_back(lines, back, wanted, place)

    version = context.programs.numbered(bought.program_version)
    nothing_kept = all(_is_back(line, back) for line in lines.values())
    kept = [] if nothing_kept else _kept_lines(lines, back)
    award = version.judge.judge(kept, facts.judged)
    kept_points = 0 if nothing_kept else min(award.points, before.kept_points)
    kept_metric = 0 if nothing_kept else min(award.metric_amount, before.kept_metric_amount)
    returned_amount = sum(part.amount for part in back.values())
    restored = _cumulative(facts.redeemed_points, returned_amount, facts.total_amount, all_of_it=nothing_kept)
    refunded = _cumulative(
        facts.total_amount - facts.redeemed_amount,
        returned_amount,
        facts.total_amount,
        all_of_it=nothing_kept,
    )
    now_version = context.programs.at(book.recorded_at)
    tier_before = book.head.tier

    book.begin("return", request.return_id, request.purchase_id, request.occurred_at, bought.program_version)
    points_restored, debt_repaid = _restore(context, book, facts, restored - before.restored_points)
    claw = before.kept_points - kept_points
    taken, debt = _claw_back(book, now_version, claw, request.purchase_id)
    kept_charges = {} if nothing_kept else _kept_charges(before.kept_charges, award.charges)
    day = version.calendar.day(bought.occurred_at)
    for rule, (times, points) in before.kept_charges.items():
        times_kept, points_kept = kept_charges.get(rule, (0, 0))
        context.charge(book.account, version, day, rule, times_kept - times, points_kept - points)
    if nothing_kept:
        book.head.purchases -= 1
    lowered = kept_metric - before.kept_metric_amount
    if lowered:
        goods = [Qualifying(bought.occurred_at, lowered)]
        count_return(context, now_version, book, goods, request.occurred_at)

    answer = context.told(
        lambda: ReturnReceipt(
            return_id=request.return_id,
            purchase_id=request.purchase_id,
            member_id=book.head.member_id,
            points_clawed_back=taken + debt,
            points_restored=points_restored,
            debt_added=debt,
            debt_repaid=debt_repaid,
            refund_amount=refunded - before.refunded_amount,
            lots=[],
            explain=explain(award),
            rounding=rounding_text(award),
            balance=balance_answer(book),
            tier=tier_answer(version, tier_before, book.head.tier),
            program_version=bought.program_version,
            recorded_at=book.recorded_at,
        )
    )
    after = ReturnFacts(
        request,
        [LineBack(number, str(part.quantity), part.amount) for number, part in sorted(back.items())],
        kept_points,
        kept_metric,
        returned_amount,
        before.restored_points + points_restored,
        refunded,
        kept_charges,
    )
    row = book.close(
        facts=context.noted(lambda: after),
        answer=answer,
        fingerprint=fingerprint,
        qualifying_at=bought.occurred_at if lowered else None,
        qualifying_amount=lowered,
    )
    context.remember(row)
    return answer


def _kept_charges(
    before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """What stays used of limits and budgets: a return gives back of them and never takes."""
    return {
        rule: (min(times, now[rule][0]), min(points, now[rule][1]))
        for rule, (times, points) in before.items()
        if rule in now
    }


def _state(about: list[SubjectPosting], purchase_id: str, facts: PurchaseFacts) -> ReturnFacts:
    """How the purchase stands: after its last return, or as it was bought."""
    returns = [posting for posting in about if posting.kind == "return" and posting.subject == purchase_id]
    if returns:
        return return_facts(returns[-1].facts)
    asked = Return("-", purchase_id, facts.judged.occurred_at)
    return ReturnFacts(asked, [], facts.points, facts.metric_amount, 0, 0, 0, facts.charges)


def _is_back(line: PurchaseLine, back: dict[int, Back]) -> bool:
    """Whether a line came back whole. One of amount and quantity 0 is nothing that could be kept."""
    assert line.line is not None
    part = back.get(line.line)
    quantity, amount = (part.quantity, part.amount) if part else (Fraction(0), 0)
    return quantity >= Fraction(line.quantity) and amount >= line.amount


def _take_back(lines: dict[int, PurchaseLine], back: dict[int, Back], wanted: ReturnLine, place: int) -> None:
    """Adds what comes back of one line. Raises if that is more than is left of it."""
    line = lines.get(wanted.line)
    if line is None:
        raise ReturnExceedsPurchase(
            f"The purchase has no line {wanted.line}.",
            errors=[FieldError(f"lines[{place}].line", f"{wanted.line} is not a line of this purchase")],
        )
    part = back.setdefault(wanted.line, Back())
    bought = Fraction(line.quantity)
    left_quantity, left_amount = bought - part.quantity, line.amount - part.amount
    if wanted.quantity is None and wanted.amount is None:
        quantity, amount = left_quantity, left_amount
        if not quantity and not amount:
            raise _exceeds(place, f"line {wanted.line} has come back already")
    elif wanted.amount is None:
        assert wanted.quantity is not None
        quantity = Fraction(wanted.quantity)
        if quantity > left_quantity:
            raise _exceeds(place, f"{wanted.quantity} units come back and {_plain(left_quantity)} are left")
        if quantity == left_quantity:
            amount = left_amount
        else:
            # Cumulative, so that the parts add up; what an amount-only return took before counts as gone.
            up_to = line.amount * (part.quantity + quantity) // bought
            amount = min(max(up_to - part.amount, 0), left_amount)
    elif wanted.quantity is None:
        amount = wanted.amount
        if amount > left_amount:
            raise _exceeds(place, f"{amount} comes back and {left_amount} is left")
        quantity = (
            left_quantity if amount == left_amount else min(bought * amount / line.amount, left_quantity)
        )
    else:
        quantity, amount = Fraction(wanted.quantity), wanted.amount
        if quantity > left_quantity or amount > left_amount:
            raise _exceeds(
                place,
                f"{wanted.quantity} units for {amount} come back; {_plain(left_quantity)} for {left_amount} are left",
            )
    if not quantity and not amount:
        raise InvalidRequest(
            "A returned line needs a quantity or an amount above 0.",
            errors=[FieldError(f"lines[{place}]", "nothing would come back")],
        )
    part.quantity += quantity
    part.amount += amount


def _exceeds(place: int, message: str) -> ReturnExceedsPurchase:
    return ReturnExceedsPurchase(
        f"More comes back than was bought: {message}.", errors=[FieldError(f"lines[{place}]", message)]
    )


def _plain(quantity: Fraction) -> str:
    return str(quantity.numerator) if quantity.denominator == 1 else f"{float(quantity):.6g}"


def kept_after(purchase: Purchase, facts: ReturnFacts) -> list[JudgedLine]:
    """What is left of a purchase after a recorded return, as it was judged then."""
    back = {line.line: Back(Fraction(line.quantity), line.amount) for line in facts.back}
    lines = {line.line: line for line in purchase.lines if line.line is not None}
    return [] if all(_is_back(line, back) for line in lines.values()) else _kept_lines(lines, back)


def _kept_lines(lines: dict[int, PurchaseLine], back: dict[int, Back]) -> list[JudgedLine]:
    kept = []
    for number, line in lines.items():
        if _is_back(line, back) and (line.amount or line.quantity):
            continue
        part = back.get(number)
        quantity, amount = Fraction(line.quantity), line.amount
        if part is not None:
            quantity, amount = quantity - part.quantity, amount - part.amount
        kept.append(JudgedLine(number, line.sku, quantity, amount, line.category, line.tags))
    return kept


def _cumulative(whole: int, returned: int, total: int, *, all_of_it: bool) -> int:
    """What has been given back of `whole` when `returned` of `total` has come back, floored."""
    if all_of_it:
        return whole
    return whole * returned // total if total else 0


def _claw_back(book: Book, version: ProgramVersion, points: int, purchase_id: str | None) -> tuple[int, int]:
    """Takes points back. Nobody stands behind an erased account: what it lacks is forgiven, what is left forfeited."""
    taken, debt = 0, 0
    erased = book.head.status == "erased"
    if points:
        forgive = erased or version.program.points.shortfall == "forgive"
        taken, debt = book.claw_back(points, purchase_id, forgive=forgive)
    if erased:
        book.forfeit()
    return taken, debt


def _restore(context: Context, book: Book, facts: PurchaseFacts, points: int) -> tuple[int, int]:
    """Gives back points that paid for the goods. Returns them and the debt repaid from them."""
    if not points or facts.purchase.redemption is None:
        return 0, 0
    history = context.subjects.get((book.account, facts.purchase.redemption.redemption_id), [])
    redeemed = next(posting for posting in history if posting.kind == "redemption")
    already = restored_so_far(context, book, history)
    # Reversed by hand before: those points are back already.
    points = min(points, facts.redeemed_points - already)
    if points <= 0:
        return 0, 0
    released = redemption_facts(redeemed.facts).points - facts.redeemed_points
    at = book.recorded_at
    repaid = book.restore(
        context.uses[redeemed.account, redeemed.number],
        points,
        already + released,
        context.lives_given_back(book, at),
    )
    return points, repaid


def record_unlinked_return(
    context: Context, book: Book, request: UnlinkedReturn, fingerprint: bytes
) -> bytes:
    """Takes goods back without a known purchase: judged by the base rules of its day."""
    context.check_time(request.occurred_at)
    at = request.occurred_at
    version = context.programs.at(at)
    if version.program.points.unlinked_returns == "refuse":
        raise ReturnNotAllowed("The program refuses returns without a known purchase. Name the purchase.")
    facts = Facts(at, "return", tier_in_force(context, version, book, at))
    award = version.judge.judge_unlinked(request.lines, facts)
    tier_before = book.head.tier
    book.begin("return", request.return_id, None, at, version.version)
    taken, debt = _claw_back(book, version, award.points, None)
    if award.metric_amount:
        count_return(context, version, book, [Qualifying(at, -award.metric_amount)], at)
    answer = context.told(
        lambda: ReturnReceipt(
            return_id=request.return_id,
            member_id=book.head.member_id,
            points_clawed_back=taken + debt,
            points_restored=0,
            debt_added=debt,
            debt_repaid=0,
            refund_amount=sum(line.amount for line in request.lines),
            lots=[],
            explain=explain(award),
            rounding=rounding_text(award),
            balance=balance_answer(book),
            tier=tier_answer(version, tier_before, book.head.tier),
            program_version=version.version,
            recorded_at=book.recorded_at,
        )
    )
    row = book.close(
        facts=context.noted(lambda: UnlinkedReturnFacts(request, facts, award.points)),
        answer=answer,
        fingerprint=fingerprint,
        qualifying_at=at if award.metric_amount else None,
        qualifying_amount=-award.metric_amount,
    )
    context.remember(row)
    return answer
