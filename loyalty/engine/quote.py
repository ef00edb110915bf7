"""What would happen: the decision itself, on the state of now, rolled back."""

from datetime import datetime

import msgspec
from asyncpg import Connection

from loyalty.engine.access import Access
from loyalty.engine.answers import Answer, DiscountAnswer, Quote, Receipt
from loyalty.engine.batch import decide_items
from loyalty.engine.context import Context
from loyalty.engine.facts import purchase_facts
from loyalty.engine.item import Item
from loyalty.engine.resolve import resolve
from loyalty.errors import LoyaltyError
from loyalty.rules.facts import Facts
from loyalty.rules.pricing import LineDiscount, discounted
from loyalty.rules.redeem import max_points
from loyalty.types import Purchase, Return

_encode = msgspec.json.Encoder(decimal_format="number").encode


async def quote(engine: Access, request: Purchase | Return) -> bytes:
    """The receipt that the request would get. Raises what it would be refused with."""
    item = Item(request)
    item.prepare()
    if isinstance(item.outcome, LoyaltyError):
        raise item.outcome
    async with engine.pool.acquire() as connection:
        todo = await resolve(engine, connection, [item])
        if not todo:
            body = _body(item.outcome)
            return body if isinstance(request, Return) else await _quote_recorded(engine, request, body)
        transaction = connection.transaction()
        await transaction.start()
        try:
            if isinstance(request, Return):
                return (await _decided(engine, connection, item))[1]
            return await _quote_purchase(engine, connection, item)
        finally:
            await transaction.rollback()


async def _decided(engine: Access, connection: Connection, item: Item) -> tuple[Context, bytes]:
    """The decision on the locked state of now, and its answer. Nothing is written."""
    assert item.where is not None
    context, outcomes = await decide_items(engine, connection, item.where[0], [item])
    return context, _body(outcomes[0])


async def _quote_purchase(engine: Access, connection: Connection, item: Item) -> bytes:
    """Decided as it was sent, for its facts; then, if the member pays less for it, as it would be paid for."""
    assert item.where is not None
    context, body = await _decided(engine, connection, item)
    purchase, facts = _judged(context)
    version = context.programs.at(purchase.occurred_at)
    lines, discounts = purchase.lines, version.pricing.discounts(purchase.lines, facts)
    if discounts:
        lines = discounted(lines, discounts)
        item.normal = msgspec.structs.replace(purchase, lines=lines)
        context, body = await _decided(engine, connection, item)
    book = context.books[item.where[1]]
    receipt = msgspec.json.decode(body, type=Receipt)
    # What the basket itself earned cannot pay for it.
    spendable = (
        receipt.balance.available + receipt.points_redeemed - _spendable_now(receipt, book.recorded_at)
    )
    total = sum(line.amount for line in lines)
    most = max_points(version.program.redemption, spendable, total)
    fields = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
    return _encode(
        Quote(
            **fields,
            discounts=[_told(discount) for discount in discounts],
            total_amount=total,
            privileges=version.pricing.benefits(facts.tier).privileges,
            max_points=0 if book.head.status == "blocked" else most,
        )
    )


async def _quote_recorded(engine: Access, purchase: Purchase, body: bytes) -> bytes:
    """The receipt that a purchase got; nothing is left to be paid for, with points or less."""
    receipt = msgspec.json.decode(body, type=Receipt)
    pricing = (await engine.programs()).at(purchase.occurred_at).pricing
    judged_tier = receipt.tier.tier if receipt.tier.previous is msgspec.UNSET else receipt.tier.previous
    fields = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
    return _encode(
        Quote(
            **fields,
            discounts=[],
            total_amount=sum(line.amount for line in purchase.lines),
            privileges=pricing.benefits(judged_tier).privileges,
            max_points=0,
        )
    )


def _judged(context: Context) -> tuple[Purchase, Facts]:
    """The purchase that was decided, with all lines numbered, and the facts that it was judged by."""
    row = next(row for row in reversed(context.journal.postings) if row.kind == "purchase")
    recorded = purchase_facts(row.facts or "")
    return recorded.purchase, recorded.judged


def _told(discount: LineDiscount) -> DiscountAnswer:
    return DiscountAnswer(
        discount.line,
        discount.percent,
        discount.amount,
        discount.discount or msgspec.UNSET,
        discount.tier or msgspec.UNSET,
    )


def _spendable_now(receipt: Receipt, at: datetime) -> int:
    earned = sum(
        lot.points
        for lot in receipt.lots
        if lot.spendable_from <= at and (lot.expires_at is None or lot.expires_at > at)
    )
    return max(earned - receipt.debt_repaid, 0)


def _body(outcome: Answer | LoyaltyError | None) -> bytes:
    if isinstance(outcome, Answer):
        return outcome.body
    assert outcome is not None
    raise outcome
