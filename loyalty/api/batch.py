"""Uploads: up to 10,000 purchases and returns in one call, each with a result of its own."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from loyalty.api import examples
from loyalty.api.auth import STAFF, caller, own_store
from loyalty.api.contract import REF, call
from loyalty.api.problems import Problem, as_error, decode_error, problem
from loyalty.api.reading import MAX_BATCH_BODY, Call, context, decode, media_type, read_body
from loyalty.api.reply import Reply, reply
from loyalty.engine.answers import Answer, Receipt, ReturnReceipt
from loyalty.engine.engine import Engine
from loyalty.engine.validate import validate
from loyalty.errors import FieldError, InvalidRequest, LoyaltyError, Overloaded, TooLarge
from loyalty.keys import Identity
from loyalty.types import (
    Instant,
    MemberRef,
    Purchase,
    PurchaseLine,
    RequestId,
    Return,
    ReturnLine,
    UnlinkedReturn,
)

MAX_ITEMS = 10_000
NDJSON = "application/x-ndjson"

Item = Purchase | Return | UnlinkedReturn


class _ReturnItem(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="return"):
    """A return of either kind, its lines not looked at yet: with `purchase_id` linked, with `member` unlinked."""

    return_id: RequestId
    occurred_at: Instant
    purchase_id: RequestId | UnsetType = UNSET
    member: MemberRef | UnsetType = UNSET
    lines: Raw | UnsetType = UNSET


class LinkedReturnItem(Return, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="return"):
    """Goods of a known purchase come back."""


class UnlinkedReturnItem(
    UnlinkedReturn, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="return"
):
    """Goods come back without a known purchase."""


def _any_of(*kinds: type[Struct]) -> Meta:
    # msgspec knows no untagged unions; what is sent here is encoded already.
    return Meta(extra_json_schema={"anyOf": [{"$ref": REF.format(name=kind.__name__)} for kind in kinds]})


AnyItem = Annotated[Any, _any_of(Purchase, LinkedReturnItem, UnlinkedReturnItem)]


class ItemResult(Struct, frozen=True):
    """What became of the item at `index`, counted from 0 (NDJSON: lines that are not empty)."""

    index: int
    id: str | None
    status: Literal["created", "replayed", "refused"]
    receipt: Annotated[Any, _any_of(Receipt, ReturnReceipt)] | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class BatchCounts(Struct, frozen=True):
    created: int
    replayed: int
    refused: int


class BatchAnswer(Struct, frozen=True):
    """A result for each item, in the order of the items."""

    results: list[ItemResult]
    counts: BatchCounts


UPLOADS, UPLOADS_A_KEY = 12, 4
"""Uploads under way in a process, of all keys and of one: each may hold 32 MB."""
_under_way: Counter[str] = Counter()

_raws = msgspec.json.Decoder(list[Raw])
_item = msgspec.json.Decoder(Purchase | _ReturnItem)
_linked_lines = msgspec.json.Decoder(tuple[ReturnLine, ...] | None)
_lines = msgspec.json.Decoder(Annotated[tuple[PurchaseLine, ...], Meta(min_length=1)])
_kind = msgspec.json.Decoder(dict[str, Any])


@call(
    "POST",
    "/v1/purchases/batch",
    roles=STAFF,
    tag="Purchases",
    body=Annotated[list[AnyItem], Meta(max_length=MAX_ITEMS)],
    mentions=(Purchase, LinkedReturnItem, UnlinkedReturnItem, Receipt, ReturnReceipt),
    body_media=("application/json", NDJSON),
    example=[examples.PURCHASE],
    answers={200: BatchAnswer},
)
async def record_batch(request: Call) -> Reply:
    """Record up to 10,000 purchases and returns.

    Each item has a `kind`, purchase or return; a return with `purchase_id` is linked, one with `member` is not. Items
    of one member act in order. Not one transaction: a bad item is refused and spoils no other.
    """
    kind = media_type(request, b"application/json", NDJSON.encode())
    with _room(caller(request).key_id):
        return await _record(request, kind)


async def _record(request: Call, kind: bytes) -> Reply:
    body = await read_body(request, MAX_BATCH_BODY)
    raws = list(_split_lines(body)) if kind == NDJSON.encode() else decode(body, _raws, in_parts=True)
    if len(raws) > MAX_ITEMS:
        raise TooLarge(f"The batch holds {len(raws)} items; send at most {MAX_ITEMS} at once.")
    who, engine = caller(request), context(request).engine
    results: list[bytes] = []
    counts = {"created": 0, "replayed": 0, "refused": 0}
    while (done := len(results)) < len(raws):
        async with engine.uploads.next() as most:
            for result in await _post(engine, who, raws[done : done + most], done):
                counts[result["status"]] += 1
                results.append(msgspec.json.encode(result, enc_hook=str))
    return reply(b'{"results":[' + b",".join(results) + b'],"counts":' + msgspec.json.encode(counts) + b"}")


async def _post(
    engine: Engine, who: Identity, raws: Sequence[bytes | Raw], first: int
) -> list[dict[str, Any]]:
    """Posts items, of which the first is at index `first`. Returns their results."""
    outcomes: list[Answer | LoyaltyError | None] = [None] * len(raws)
    ids: list[str | None] = [None] * len(raws)
    places: list[int] = []
    items: list[Item] = []
    for place, raw in enumerate(raws):
        try:
            item = _read_item(raw)
            ids[place] = item.purchase_id if isinstance(item, Purchase) else item.return_id
            validate(item)
            if isinstance(item, Purchase):
                own_store(who, item.store)
        except LoyaltyError as error:
            outcomes[place] = error.with_traceback(None)
            ids[place] = ids[place] or _id_of(raw)
            continue
        places.append(place)
        items.append(item)
    for place, answer in zip(places, await engine.submit_many(items), strict=True):
        outcomes[place] = answer
    return [
        _result(index, id_, outcome)
        for index, (id_, outcome) in enumerate(zip(ids, outcomes, strict=True), first)
    ]


@contextlib.contextmanager
def _room(key_id: str) -> Iterator[None]:
    """Room for one more upload of this key in this process. Raises Overloaded when there is none."""
    if _under_way[key_id] >= UPLOADS_A_KEY or _under_way.total() >= UPLOADS:
        raise Overloaded("Too many uploads are under way. Send this one again.", retry_after=1)
    _under_way[key_id] += 1
    try:
        yield
    finally:
        _under_way[key_id] -= 1
        if not _under_way[key_id]:
            del _under_way[key_id]


def _split_lines(body: bytes) -> Iterator[bytes]:
    return (line for line in body.split(b"\n") if line.strip())


def _read_item(raw: bytes | Raw) -> Item:
    item = decode(bytes(raw), _item)
    if isinstance(item, Purchase):
        return item
    if (item.purchase_id is UNSET) == (item.member is UNSET):
        raise _invalid("purchase_id", "give `purchase_id`, or for a return without a known purchase `member`")
    if isinstance(item.purchase_id, str):
        lines = None if item.lines is UNSET else _decode_lines(item.lines, _linked_lines)
        return Return(item.return_id, item.purchase_id, item.occurred_at, lines)
    if isinstance(item.lines, UnsetType) or isinstance(item.member, UnsetType):
        raise _invalid("lines", "is missing")
    return UnlinkedReturn(item.return_id, item.member, item.occurred_at, _decode_lines(item.lines, _lines))


def _decode_lines(raw: Any, decoder: "msgspec.json.Decoder[Any]") -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise decode_error(error, "lines") from None


def _id_of(raw: bytes | Raw) -> str | None:
    """The id of an item that is refused, where it can be made out: to find the item again."""
    try:
        item = _kind.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = item.get("return_id") if item.get("kind") == "return" else item.get("purchase_id")
    return found if isinstance(found, str) and len(found) <= 128 else None


def _result(index: int, id_: str | None, outcome: Answer | LoyaltyError | None) -> dict[str, Any]:
    if isinstance(outcome, Answer):
        status = "replayed" if outcome.replayed else "created"
        return {"index": index, "id": id_, "status": status, "receipt": Raw(outcome.body)}
    error = outcome if outcome is not None else RuntimeError("an item was left without an answer")
    return {"index": index, "id": id_, "status": "refused", "problem": problem(as_error(error))}


def _invalid(path: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {message}", errors=[FieldError(path, message)])


HANDLERS = (record_batch,)
