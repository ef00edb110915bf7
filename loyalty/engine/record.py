"""Records a purchase: redeems on it, judges it, earns, and promotes. Pure but for the context it is given."""

from datetime import date, datetime

import msgspec

from loyalty.engine.answers import LotAnswer, Receipt, TierAnswer
from loyalty.engine.context import Context, balance_answer
from loyalty.engine.facts import PurchaseFacts, scaled
from loyalty.engine.programs import ProgramVersion
from loyalty.engine.redeem import InBasket, plan_in_basket, redeem_in_basket
from loyalty.engine.standing import count_purchase, tier_in_force
from loyalty.errors import InvalidRequest
from loyalty.ledger.book import Book
from loyalty.ledger.life import Life, life_of, on_arrival
from loyalty.ledger.state import OpenLot
from loyalty.rules.award import Award, explain, rounding_text
from loyalty.rules.facts import Facts
from loyalty.types import MAX_AMOUNT, Purchase


def record_purchase(context: Context, book: Book, purchase: Purchase, fingerprint: bytes) -> bytes:
    """Posts a purchase and returns its receipt. Raises before anything moved."""
    context.check_time(purchase.occurred_at)
    version = context.programs.at(purchase.occurred_at)
    total = sum([line.amount for line in purchase.lines])
    if total > MAX_AMOUNT:
        raise InvalidRequest("The lines add up to more than 2^53.")
    redemption = plan_in_basket(context, book, version, purchase, total) if purchase.redemption else None
    day = version.calendar.day(purchase.occurred_at)
    facts = facts_of(context, book, version, purchase, day, total, redemption)
    award = version.judge.judge(purchase.lines, facts)
    if award.points > MAX_AMOUNT or book.head.balance + award.points > MAX_AMOUNT:
        raise InvalidRequest("The purchase would earn more points than an account can hold (2^53).")
    tier_before = book.head.tier
    if redemption is not None:
        redeem_in_basket(context, book, version, purchase, redemption, fingerprint)
    book.begin("purchase", purchase.purchase_id, None, purchase.occurred_at, version.version)
    lots, repaid = earn(context, book, version, purchase.occurred_at, award.points, purchase.purchase_id)
    for rule, (times, points) in award.charges.items():
        context.charge(book.account, version, day, rule, times, points)
    context.pin_birthday(book.account, version, award, day)
    book.head.purchases += 1
    count_purchase(context, version, book, purchase.occurred_at, award.metric_amount)

    answer = context.told(_receipt, book, version, purchase, award, lots, repaid, redemption, tier_before)
    row = book.close(
        facts=context.noted(_facts, purchase, facts, total, award, redemption),
        answer=answer,
        fingerprint=fingerprint,
        qualifying_at=purchase.occurred_at,
        qualifying_amount=award.metric_amount,
    )
    context.remember(row)
    return answer


def _facts(
    purchase: Purchase, facts: Facts, total: int, award: Award, redemption: InBasket | None
) -> PurchaseFacts:
    return PurchaseFacts(
        purchase,
        as_recorded(facts),
        award.points,
        total,
        award.metric_amount,
        redemption.points if redemption else 0,
        redemption.amount if redemption else 0,
        award.charges,
        scaled(award.by_rule),
        award.scale,
    )


def facts_of(
    context: Context,
    book: Book,
    version: ProgramVersion,
    purchase: Purchase,
    day: date,
    total: int,
    redemption: InBasket | None,
) -> Facts:
    """What the rules must know beside the lines. `day`: the purchase's own, of the program's time zone."""
    needs, at = version.needs, purchase.occurred_at
    return Facts(
        at,
        purchase.channel,
        tier_in_force(context, version, book, at),
        purchase.store,
        redemption.amount if redemption else 0,
        total if redemption else 0,  # basket_amount
        needs.first_purchase and book.head.purchases == 0,
        context.birthday(book.account, day) if needs.birthday else frozenset(),
        context.used(book.account, version, day),
    )


def as_recorded(facts: Facts) -> Facts:
    """The facts, with what the judgement looked up and no more."""
    return facts if facts.used else msgspec.structs.replace(facts, used={})


def earn(
    context: Context,
    book: Book,
    version: ProgramVersion,
    occurred_at: datetime,
    points: int,
    purchase_id: str | None,
) -> tuple[list[tuple[int, OpenLot]], int]:
    """Grants points; what is dead on arrival expires in the same posting. Returns the lots and the debt repaid."""
    if not points:
        return [], 0
    life = life_of(version.program.points, version.calendar, occurred_at, book.recorded_at)
    if life.idle:
        active_at = max(book.head.active_at or occurred_at, occurred_at)
        dies_at = context.programs.idle_deadline(active_at)
        graced = on_arrival(version.program.points, version.calendar, dies_at, book.recorded_at)
        if graced != dies_at:  # dead on arrival, but late arrivals have a grace: a date of its own
            life = Life(life.spendable_from, graced)
    lot, repaid = book.earn(points, life, purchase_id)
    ends_at = book.end_of(lot)
    if ends_at is not None and ends_at <= book.recorded_at and lot.remaining:
        book.expire_lot(lot, ends_at)
    return [(points, lot)], repaid


def _receipt(
    book: Book,
    version: ProgramVersion,
    purchase: Purchase,
    award: Award,
    lots: list[tuple[int, OpenLot]],
    repaid: int,
    redemption: InBasket | None,
    tier_before: str | None,
) -> Receipt:
    return Receipt(
        purchase_id=purchase.purchase_id,
        member_id=book.head.member_id,
        points_earned=award.points,
        points_pending=sum([lot.remaining for _, lot in lots if lot.spendable_from > book.recorded_at]),
        points_redeemed=redemption.points if redemption else 0,
        debt_repaid=repaid + (redemption.debt_repaid if redemption else 0),
        lots=[LotAnswer(points, lot.spendable_from, book.end_of(lot)) for points, lot in lots],
        explain=explain(award),
        rounding=rounding_text(award),
        balance=balance_answer(book),
        tier=tier_answer(version, tier_before, book.head.tier),
        program_version=version.version,
        recorded_at=book.recorded_at,
    )


def tier_answer(version: ProgramVersion, before: str | None, after: str | None) -> TierAnswer:
    """The tier now, and the one before where the request changed it."""
    lowest = version.program.tiers[0].id
    if (before or lowest) == (after or lowest):
        return TierAnswer(after or lowest)
    return TierAnswer(after or lowest, before or lowest)
