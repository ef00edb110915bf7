"""Whose the units of a file are, so that all of one account are posted together and in their order."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice

from loyalty.engine.engine import Engine
from loyalty.importing.stage import Stage
from loyalty.importing.values import member_name
from loyalty.ledger import store
from loyalty.members.directory import where_are
from loyalty.members.identity import Name, parse_reference

_AT_ONCE = 5_000


async def find_owners(engine: Engine, stage: Stage) -> None:
    """Tell the stage whose its units are: accounts by what the file calls them, or by the purchase that came back.

    Who is not known yet is a number below zero that the name alone gives: two ways of writing it are one member.
    """
    async with engine.pool.acquire() as connection:
        for refs in _chunks(stage.refs()):
            names = {ref: parse_reference(name) for ref in refs if (name := member_name(ref.strip()))}
            known = await where_are(connection, engine.vault, list(set(names.values())))
            stage.own(
                [(ref, known[name][1] if name in known else _stranger(name)) for ref, name in names.items()]
            )
        for ids in _chunks(stage.purchases_elsewhere()):
            keys = [("purchase", id) for id in ids]
            found = await store.find_requests(connection, engine.shards, keys)
            stage.own_purchases([(id, recorded.account) for (_, id), recorded in found.items()])


def _stranger(name: Name) -> int:
    return -1 - int.from_bytes(blake2b(str(name).encode(), digest_size=7).digest())


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    left = iter(texts)
    while chunk := list(islice(left, _AT_ONCE)):
        yield chunk
