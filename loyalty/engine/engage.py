"""Records an event, something that a member did and that is no purchase: judges it and earns. Counts for no tier."""

from loyalty.engine.answers import EventReceipt, LotAnswer
from loyalty.engine.context import Context, balance_answer
from loyalty.engine.facts import EngagementFacts, scaled
from loyalty.engine.programs import ProgramVersion
from loyalty.engine.record import as_recorded, earn
from loyalty.engine.standing import tier_in_force
from loyalty.errors import InvalidRequest
from loyalty.ledger.book import Book
from loyalty.rules.award import explain, rounding_text
from loyalty.rules.facts import Facts
from loyalty.types import MAX_AMOUNT, Engagement


def record_engagement(context: Context, book: Book, event: Engagement, fingerprint: bytes) -> bytes:
    """Posts an event and returns its receipt. Raises before anything moved."""
    at = event.occurred_at
    context.check_time(at)
    version = context.programs.at(at)
    facts = _facts_of(context, book, version, event)
    award = version.judge.judge_event(event.type, facts)
    if book.head.balance + award.points > MAX_AMOUNT:
        raise InvalidRequest("The event would earn more points than an account can hold (2^53).")

    book.begin("event", event.event_id, None, at, version.version)
    lots, repaid = earn(context, book, version, at, award.points, None)
    day = version.calendar.day(at)
    for rule, (times, points) in award.charges.items():
        context.charge(book.account, version, day, rule, times, points)
    context.pin_birthday(book.account, version, award, day)
    answer = context.told(
        lambda: EventReceipt(
            event_id=event.event_id,
            member_id=book.head.member_id,
            type=event.type,
            points_earned=award.points,
            points_pending=sum(lot.remaining for _, lot in lots if lot.spendable_from > book.recorded_at),
            debt_repaid=repaid,
            lots=[LotAnswer(points, lot.spendable_from, book.end_of(lot)) for points, lot in lots],
            explain=explain(award),
            rounding=rounding_text(award),
            balance=balance_answer(book),
            program_version=version.version,
            recorded_at=book.recorded_at,
        )
    )
    facts_text = context.noted(
        lambda: EngagementFacts(
            event, as_recorded(facts), award.points, award.charges, scaled(award.by_rule), award.scale
        )
    )
    context.remember(book.close(facts=facts_text, answer=answer, fingerprint=fingerprint))
    return answer


def _facts_of(context: Context, book: Book, version: ProgramVersion, event: Engagement) -> Facts:
    """What the rules must know of an event beside its type."""
    needs, at = version.needs, event.occurred_at
    day = version.calendar.day(at)
    return Facts(
        occurred_at=at,
        channel=event.channel or "",
        tier=tier_in_force(context, version, book, at),
        birthday=context.birthday(book.account, day) if needs.birthday else frozenset(),
        used=context.used(book.account, version, day),
    )
