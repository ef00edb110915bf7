"""A person is forgotten: claims with unused vouchers cancelled, holds released, remaining points forfeited by an entry,
personal data and names removed.

The ledger stays whole: the account's rows remain, under a number that leads to nobody.
"""

from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from loyalty import acts
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.answers import RedemptionAnswer, encode
from loyalty.engine.claims import cancel_claim
from loyalty.engine.context import Context, balance_answer
from loyalty.engine.due import post_due
from loyalty.engine.facts import EndFacts, to_text
from loyalty.engine.loading import load_subjects, load_tiers, make_context
from loyalty.engine.programs import load_programs
from loyalty.engine.reads import where_is
from loyalty.errors import Overloaded
from loyalty.ledger import store
from loyalty.ledger.book import Book
from loyalty.rewards import store as rewards
from loyalty.types import Cancellation

ATTEMPTS = 20
"""How often what is to be forgotten is looked at anew, because it changed meanwhile."""


async def erase(engine: Access, member: str) -> int:
    """Forgets a member and returns the points forfeited. Raises UnknownMember."""
    for _ in range(ATTEMPTS):
        with suppress(asyncpg.UniqueViolationError):  # a voucher was used just now: look again
            return await _erase(engine, member)
    raise Overloaded("This member's vouchers are being used just now. Try again.", retry_after=1)


async def _erase(engine: Access, member: str) -> int:
    async with engine.pool.acquire() as connection, connection.transaction():
        shard, account = await where_is(engine, connection, member)
        locked = await store.lock_accounts(connection, shard, {account: True}, [], days=None)
        if locked.program_version != engine.programs_known.newest:
            engine.programs_known = await load_programs(connection, engine.programs_known)
        # A merge may have been first: then the name means another account now.
        shard, account = await where_is(engine, connection, member)
        context = make_context(engine.programs_known, locked)
        await load_tiers(context, connection, shard, [account])
        book = context.books[account]
        vouchers = await rewards.of_account(connection, shard, account)
        claims = [Cancellation(voucher.claim_id) for voucher in vouchers if voucher.ending is None]
        await load_subjects(context, connection, shard, claims, [account] * len(claims))
        forfeited = give_up(context, book, claims)
        await store.post(connection, shard, [book.head_row()], context.journal, [], [])
        await rewards.settle(connection, shard, context.settlement)
        await connection.execute(query("forget"), shard, account)
        await connection.execute(query("forget_consents"), shard, account)
        await acts.note(connection, "member.erased", book.head.member_id)
    return forfeited


def give_up(context: Context, book: Book, claims: Sequence[Cancellation] = ()) -> int:
    """Posts what is due, cancels claims, releases the account's holds, and forfeits its points. Returns how many
    these were."""
    at = book.recorded_at
    post_due(context, book, at)
    version = context.programs.at(at).version
    for claim in claims:
        cancel_claim(context, book, claim)
    for hold in list(book.holds.values()):
        book.begin("release", None, hold.redemption_id, at, version)
        book.end_hold(hold, 0, context.lives_given_back(book, at))
        answer = RedemptionAnswer(
            hold.redemption_id, book.head.member_id, "released", 0, 0, balance_answer(book)
        )
        book.close(facts=to_text(EndFacts(0, 0)), answer=encode(answer))
    book.begin("erasure", None, None, at, version)
    forfeited = book.forfeit()
    book.close()
    return forfeited
