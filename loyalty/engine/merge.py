"""Two accounts of one person become one: points, lives, holds, limits, purchases, metrics and names go over."""

from datetime import datetime

import asyncpg

from loyalty import acts
from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.context import Context
from loyalty.engine.due import post_due
from loyalty.engine.facts import MergeFacts, to_text
from loyalty.engine.loading import load_tiers, make_context
from loyalty.engine.programs import load_programs
from loyalty.engine.standing import apply_change, standing_of_head
from loyalty.errors import MergeConflict, UnknownMember
from loyalty.ledger import store
from loyalty.ledger.book import Book
from loyalty.ledger.rows import CounterRow
from loyalty.ledger.store import Where
from loyalty.members.directory import where_are
from loyalty.members.identity import parse_reference
from loyalty.tiers.assess import merged


async def merge(engine: Access, member: str, into: str) -> str:
    """Merges one member into another and returns the member_id that stays. The same merge again changes nothing.

    Raises UnknownMember, or MergeConflict if the member went elsewhere before or is the same.
    """
    name, target = parse_reference(member), parse_reference(into)
    async with engine.pool.acquire() as connection:
        for _ in range(10):
            found = await where_are(connection, engine.vault, [name, target])
            for wanted in (name, target):
                if wanted not in found:
                    raise UnknownMember(f"No member is called {wanted}.")
            if found[name] == found[target]:
                return await _again(connection, member, name.scheme == "id", found[target])
            if name.scheme == "id" and await _gone(connection, name.value) is not None:
                raise MergeConflict(f"{member} was merged into another member before.")
            if await _merge(engine, connection, found[name], found[target]):
                return str(
                    await connection.fetchval(
                        "select member_id from member where account = $1", found[target][1]
                    )
                )
    raise MergeConflict("These members are being merged by others just now. Look at them again.")


async def _gone(connection: asyncpg.Connection, member_id: str) -> int | None:
    """The account that a member's own account went to, if it did."""
    gone: int | None = await connection.fetchval(query("merged_into"), member_id)
    return gone


async def _again(connection: asyncpg.Connection, member: str, by_id: bool, where: Where) -> str:
    """Both names mean one account: because this very merge happened, or because they always did."""
    member_id = str(await connection.fetchval("select member_id from member where account = $1", where[1]))
    if by_id and member == member_id:
        raise MergeConflict(f"{member} cannot be merged into itself.")
    return member_id


async def _merge(engine: Access, connection: asyncpg.Connection, source: Where, target: Where) -> bool:
    """One transaction over both accounts. False: one of them moved meanwhile, look again."""
    wheres = sorted([source, target])
    async with connection.transaction():
        # The lower shard first, accounts in order: as everybody locks.
        contexts: dict[int, Context] = {}
        for shard in sorted({shard for shard, _ in wheres}):
            accounts = [account for at, account in wheres if at == shard]
            locked = await store.lock_accounts(
                connection, shard, dict.fromkeys(accounts, True), [], days=None
            )
            if locked.program_version != engine.programs_known.newest:
                engine.programs_known = await load_programs(connection, engine.programs_known)
            contexts[shard] = make_context(engine.programs_known, locked)
            await load_tiers(contexts[shard], connection, shard, accounts)
        giving, taking = contexts[source[0]], contexts[target[0]]
        old, new = giving.books[source[1]], taking.books[target[1]]
        if old.head.status in ("merged", "erased") or new.head.status in ("merged", "erased"):
            return False
        at = max(old.recorded_at, new.recorded_at)
        old.recorded_at = new.recorded_at = at
        for context, book in ((giving, old), (taking, new)):
            post_due(context, book, at)
        move_estate(old, taking, new, at)
        used = [CounterRow(new.account, *row) for row in await connection.fetch(query("counters"), *source)]
        for shard, context in contexts.items():
            books = [book for book in (old, new) if book.journal is context.journal]
            counters = used if context is taking else []
            await store.post(
                connection, shard, [book.head_row() for book in books], context.journal, counters, []
            )
        if old.head.status == "blocked":
            # A block is not got rid of by a merge.
            await connection.execute(
                "update account set status = 'blocked' where shard = $1 and account = $2", *target
            )
        await connection.execute("select mark_merged($1, $2, $3, $4)", *source, *target)
        await connection.execute(query("move_names"), source[1], *target)
        await connection.execute(query("move_person"), source[1], target[1])
        await connection.execute(query("move_pins"), source[1], target[1])
        await acts.note(connection, "member.merged", old.head.member_id, into=new.head.member_id)
    return True


def move_estate(old: Book, taking: Context, new: Book, at: datetime) -> None:
    """Everything of `old` goes into `new`, on both of which nothing is due."""
    version = taking.programs.at(at)
    stays, comes = standing_of_head(version, new.head), standing_of_head(version, old.head)
    old.begin("merge", None, new.head.member_id, at, version.version)
    estate = old.give_all()
    old.close(facts=to_text(MergeFacts("out", estate.points)))

    new.begin("merge", None, old.head.member_id, at, version.version)
    # Before debts are paid: which points end soonest hangs on the activity of both.
    if old.head.active_at is not None:
        new.head.active_at = max(new.head.active_at or old.head.active_at, old.head.active_at)
    held = new.take_all(estate)
    # Also where the tier stays: it was decided on, and what comes with the merge revives nothing before it.
    apply_change(taking, version, new, merged(version.program, stays, comes, at))
    new.close(facts=to_text(MergeFacts("in", estate.points, active_at=old.head.active_at)))
    for hold, lots in held:
        new.begin("merge", None, hold.redemption_id, at, version.version)
        new.hold_again(hold, lots)
        new.close(facts=to_text(MergeFacts("hold", hold.points, hold.until)))
    head, gone = new.head, old.head
    head.purchases += gone.purchases
    head.spend_bound += gone.spend_bound
    head.visits_bound += gone.visits_bound
    head.bound_at = max(head.bound_at, gone.bound_at)
    gone.tier_verdict_at = None
    post_due(taking, new, at)
