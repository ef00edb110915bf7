"""Uploads as a client sees them: items out, one result each back."""

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from loyalty.client.refusal import refusal
from loyalty.engine.answers import Receipt, ReturnReceipt
from loyalty.errors import LoyaltyError
from loyalty.types import Purchase, Return, UnlinkedReturn

Item = Purchase | Return | UnlinkedReturn
"""What can be uploaded."""

Kind = Literal["purchase", "return"]


class Uploaded(Struct, frozen=True):
    """What became of one item: a receipt, or the refusal. `replayed`: it was on record already."""

    kind: Kind
    id: str
    receipt: Receipt | ReturnReceipt | None = None
    refusal: LoyaltyError | None = None
    replayed: bool = False


class _Result(Struct):
    status: Literal["created", "replayed", "refused"]
    receipt: Raw = Raw(b"null")
    problem: dict[str, Any] = {}


class _Answer(Struct):
    results: list[_Result]


_encode = msgspec.json.Encoder(decimal_format="number").encode
_answer = msgspec.json.Decoder(_Answer)
_receipt = msgspec.json.Decoder(Receipt)
_return_receipt = msgspec.json.Decoder(ReturnReceipt)


def name_of(item: Item) -> tuple[Kind, str]:
    """The kind and the id that make an item one and the same."""
    return ("purchase", item.purchase_id) if isinstance(item, Purchase) else ("return", item.return_id)


def encode_item(item: Item) -> bytes:
    """An item as a line of an upload."""
    if isinstance(item, Purchase):
        return _encode(item)
    fields = {name: value for name, value in msgspec.structs.asdict(item).items() if value is not None}
    return _encode({"kind": "return"} | fields)


def read_results(names: list[tuple[Kind, str]], body: bytes) -> list[Uploaded]:
    """The results of the items of these names, which the server answers in their order."""
    return [
        _uploaded(kind, id, result)
        for (kind, id), result in zip(names, _answer.decode(body).results, strict=True)
    ]


def _uploaded(kind: Kind, id: str, result: _Result) -> Uploaded:
    if result.status == "refused":
        return Uploaded(kind, id, refusal=refusal(result.problem))
    receipt = (_receipt if kind == "purchase" else _return_receipt).decode(result.receipt)
    return Uploaded(kind, id, receipt=receipt, replayed=result.status == "replayed")
