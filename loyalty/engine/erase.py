"""A person is forgotten: holds released, remaining points forfeited by an entry, personal data and names removed.

The ledger stays whole: the account's rows remain, under a number that leads to nobody.
"""

from loyalty import acts
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.answers import RedemptionAnswer, encode
from loyalty.engine.context import Context, balance_answer
from loyalty.engine.due import post_due
from loyalty.engine.facts import EndFacts, to_text
from loyalty.engine.loading import load_tiers, make_context
from loyalty.engine.programs import load_programs
from loyalty.engine.reads import where_is
from loyalty.ledger import store
from loyalty.ledger.book import Book


async def erase(engine: Access, member: str) -> int:
    """Forgets a member and returns the points forfeited. Raises UnknownMember."""
    async with engine.pool.acquire() as connection, connection.transaction():
        shard, account = await where_is(engine, connection, member)
        locked = await store.lock_accounts(connection, shard, {account: True}, [], counters=False)
        if locked.program_version != engine.programs_known.newest:
            engine.programs_known = await load_programs(connection, engine.programs_known)
        # A merge may have been first: then the name means another account now.
        shard, account = await where_is(engine, connection, member)
        context = make_context(engine.programs_known, locked)
        await load_tiers(context, connection, shard, [account])
        book = context.books[account]
        forfeited = give_up(context, book)
        await store.post(connection, shard, [book.head_row()], context.journal, [], [])
        await connection.execute(query("forget"), shard, account)
        await connection.execute(query("forget_consents"), shard, account)
        await acts.note(connection, "member.erased", book.head.member_id)
    return forfeited


def give_up(context: Context, book: Book) -> int:
    """Posts what is due, releases the account's holds, and forfeits its points. Returns how many these were."""
    at = book.recorded_at
    post_due(context, book, at)
    version = context.programs.at(at).version
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
