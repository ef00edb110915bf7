"""Whose each request is: by the member it names, or by what it is about."""

from collections import defaultdict

import asyncpg

from loyalty.engine.access import Access
from loyalty.engine.item import Item, belongs_to_another, paying_with, replay
from loyalty.errors import LoyaltyError, UnknownClaim, UnknownMember, UnknownPurchase, UnknownRedemption
from loyalty.ledger import store
from loyalty.ledger.store import RequestKey, Where
from loyalty.members.directory import why_not_found


async def resolve(engine: Access, connection: asyncpg.Connection, items: list[Item]) -> list[Item]:
    """Finds each item's account; answers what was recorded before. Returns the items to do now, in order.

    From the first item on that is about an id which several members claim, the rest waits for the next attempt: then
    it is known whose the id became.
    """
    names = list({item.name for item in items if item.name is not None})
    keys = list({key for item in items for key in item.keys})
    spread = engine.vault.spread(names)
    owners, found = await store.find(connection, engine.shards, list(spread), keys)
    members = {spread[stored]: where for stored, where in owners.items()}
    doubt = await why_not_found(connection, engine.vault, [name for name in names if name not in members])
    coming: dict[RequestKey, set[Where]] = defaultdict(set)
    todo = []
    for item in items:
        own = item.address.key
        where = members.get(item.name) if item.name is not None else None
        if own is not None and own in found:
            item.outcome = replay(found[own], item, where)
            continue
        if item.address.subject is not None:
            subject = found.get(item.address.subject)
            claims = {(subject.shard, subject.account)} if subject else coming[item.address.subject]
            if len(claims) > 1:
                break
            where = next(iter(claims), None)
        if where is None:
            item.outcome = _unknown(item, doubt)
            continue
        taken = paying_with(item, found)
        if taken is not None and (taken.shard, taken.account) != where:
            # In another shard, too, which is not seen under the lock.
            item.outcome = belongs_to_another(item)
            continue
        item.where = where
        for key in item.keys:
            coming[key].add(where)
        todo.append(item)
    return todo


def _unknown(item: Item, doubt: LoyaltyError | None) -> LoyaltyError:
    subject = item.address.subject
    if subject is None:
        if doubt is not None and item.name is not None and item.name.scheme != "id":
            return doubt
        return UnknownMember(f"No member is called {item.address.member}. Enrol the member first.")
    if subject[0] == "purchase":
        return UnknownPurchase(
            f"No purchase {subject[1]} is recorded. If it is on its way, send this again later."
        )
    if subject[0] == "claim":
        return UnknownClaim(f"No claim {subject[1]} is recorded.")
    return UnknownRedemption(f"No redemption {subject[1]} is recorded.")
