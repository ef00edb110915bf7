"""Uploads: up to 10,000 purchases and returns in one call, each with a result of its own."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
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
from loyalty.engine.validate import validate
from loyalty.errors import FieldError, InvalidRequest, LoyaltyError, Overloaded, TooLarge
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
_CHUNK = 200

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
    who = caller(request)
    outcomes: list[Answer | LoyaltyError | None] = [None] * len(raws)
    ids: list[str | None] = [None] * len(raws)
    places: list[int] = []
    items: list[Item] = []
    for index, raw in enumerate(raws):
        if index % _CHUNK == _CHUNK - 1:
            await asyncio.sleep(0)  # let the tills through
        try:
            item = _read_item(raw)
            ids[index] = item.purchase_id if isinstance(item, Purchase) else item.return_id
            validate(item)
            if isinstance(item, Purchase):
                own_store(who, item.store)
        except LoyaltyError as error:
            outcomes[index] = error
            ids[index] = ids[index] or _id_of(raw)
            continue
        places.append(index)
        items.append(item)
    answers = await context(request).engine.submit_many(items)
    for index, answer in zip(places, answers, strict=True):
        outcomes[index] = answer
    return reply(await _answer(ids, outcomes))


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


async def _answer(ids: list[str | None], outcomes: list[Answer | LoyaltyError | None]) -> bytes:
    counts = {"created": 0, "replayed": 0, "refused": 0}
    parts: list[bytes] = []
    for index, (id_, outcome) in enumerate(zip(ids, outcomes, strict=True)):
        if index % _CHUNK == _CHUNK - 1:
            await asyncio.sleep(0)
        result: dict[str, Any] = {"index": index, "id": id_}
        if isinstance(outcome, Answer):
            result["status"] = "replayed" if outcome.replayed else "created"
            result["receipt"] = Raw(outcome.body)
        else:
            error = (
                outcome
                if outcome is not None
                else as_error(RuntimeError("an item was left without an answer"))
            )
            result["status"] = "refused"
            result["problem"] = problem(as_error(error))
        counts[result["status"]] += 1
        parts.append(msgspec.json.encode(result, enc_hook=str))
    return b'{"results":[' + b",".join(parts) + b'],"counts":' + msgspec.json.encode(counts) + b"}"


def _invalid(path: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {message}", errors=[FieldError(path, message)])


HANDLERS = (record_batch,)
