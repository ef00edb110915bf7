"""What would happen: the decision itself, on the state of now, rolled back."""

from datetime import datetime

import msgspec

from loyalty.engine.access import Access
from loyalty.engine.answers import Answer, Quote, Receipt, encode
from loyalty.engine.batch import Item, decide_items, resolve
from loyalty.errors import LoyaltyError
from loyalty.rules.redeem import max_points
from loyalty.types import Purchase, Return


async def quote(engine: Access, request: Purchase | Return) -> bytes:
    """The receipt that the request would get. Raises what it would be refused with."""
    item = Item(request)
    item.prepare()
    if isinstance(item.outcome, LoyaltyError):
        raise item.outcome
    async with engine.pool.acquire() as connection:
        todo = await resolve(engine, connection, [item])
        if not todo:
            return _body(item.outcome)
        assert item.where is not None
        transaction = connection.transaction()
        await transaction.start()
        try:
            context, outcomes = await decide_items(engine, connection, item.where[0], [item])
            body = _body(outcomes[0])
            if isinstance(request, Return):
                return body
            book = context.books[item.where[1]]
            version = context.programs.at(request.occurred_at)
            receipt = msgspec.json.decode(body, type=Receipt)
            # What the basket itself earned cannot pay for it.
            spendable = (
                receipt.balance.available
                + receipt.points_redeemed
                - _spendable_now(receipt, book.recorded_at)
            )
            total = sum(line.amount for line in request.lines)
            most = max_points(version.program.redemption, spendable, total)
            fields = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
            return encode(Quote(**fields, max_points=0 if book.head.status == "blocked" else most))
        finally:
            await transaction.rollback()


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
