"""Purchases: record, read, quote; and the returns that name one."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from loyalty.api import examples
from loyalty.api.auth import SHOPS, STAFF, caller, own_store
from loyalty.api.contract import call
from loyalty.api.posting import submit
from loyalty.api.reading import Call, context, id_in_path, read_json, read_query
from loyalty.api.reply import Reply, created, reply
from loyalty.engine.answers import Explanation, PurchaseRecord, Quote, Receipt, ReturnReceipt
from loyalty.engine.validate import validate
from loyalty.errors import (
    FieldError,
    FutureTime,
    IdConflict,
    InsufficientPoints,
    InvalidRequest,
    MemberBlocked,
    RedemptionNotAllowed,
    ReturnExceedsPurchase,
    ReturnNotAllowed,
    UnknownMember,
    UnknownPurchase,
)
from loyalty.rules.words import Audience, languages
from loyalty.types import Instant, Purchase, RequestId, Return, ReturnLines

_REDEEMING = (InsufficientPoints, RedemptionNotAllowed, MemberBlocked)
_RETURNING = (UnknownPurchase, ReturnExceedsPurchase, ReturnNotAllowed, FutureTime)


class ReturnBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Goods of the purchase in the path come back. Without `lines`: all that is left of it."""

    return_id: RequestId
    occurred_at: Instant
    lines: ReturnLines | None = None


Language = Annotated[str, Meta(extra_json_schema={"enum": list(languages())})]

_purchase = msgspec.json.Decoder(Purchase)
_return = msgspec.json.Decoder(ReturnBody)


@call(
    "POST",
    "/v1/purchases",
    roles=SHOPS,
    tag="Purchases",
    body=Purchase,
    example=examples.PURCHASE,
    answers={201: Receipt, 200: Receipt},
    problems=(UnknownMember, IdConflict, FutureTime, *_REDEEMING),
    replays=True,
)
async def record_purchase(request: Call) -> Reply:
    """Record a purchase and earn points.

    With `redemption` points are redeemed on the basket, or a hold is captured, in the same transaction.
    """
    purchase = await read_json(request, _purchase)
    validate(purchase)
    own_store(caller(request), purchase.store)
    return created(await submit(request, purchase))


@call(
    "GET",
    "/v1/purchases/{purchase_id:str}",
    roles=STAFF,
    tag="Purchases",
    answers={200: PurchaseRecord},
    problems=(UnknownPurchase,),
)
async def read_purchase(request: Call) -> Reply:
    """Read a purchase: what was recorded, its returns, and the explanation of every point."""
    return reply(await context(request).engine.purchase(id_in_path(request, "purchase_id")))


class ExplainQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """`verify`: make the recorded decision again from its recorded facts, and compare.

    `words`: say it in sentences too, for the member or for the shop's staff, in `language`.
    """

    verify: bool = False
    words: Audience | None = None
    language: Language = "en"


def read_explain_query(request: Call) -> ExplainQuery:
    """What is to be explained, in a language that there are texts in."""
    wanted = read_query(request, ExplainQuery)
    if wanted.language not in languages():
        message = "should be one of " + ", ".join(languages())
        raise InvalidRequest(f"language: {message}", errors=[FieldError("language", message)])
    return wanted


@call(
    "GET",
    "/v1/purchases/{purchase_id:str}/explain",
    roles=STAFF,
    tag="Purchases",
    query=ExplainQuery,
    answers={200: Explanation},
    problems=(UnknownPurchase,),
)
async def explain_purchase(request: Call) -> Reply:
    """Explain a purchase: each point with its rule and line, and the facts that it was judged by.

    With `words` also in sentences, as they were true when the purchase was recorded; returns are not in it.
    """
    wanted = read_explain_query(request)
    purchase_id = id_in_path(request, "purchase_id")
    return reply(
        await context(request).engine.explanation(purchase_id, wanted.verify, wanted.words, wanted.language)
    )


@call("GET", "/v1/purchases/batch", roles=STAFF, tag="Purchases", answers={200: PurchaseRecord}, listed=False)
async def read_purchase_called_batch(request: Call) -> Reply:
    """Read the purchase whose id is `batch`: the path of uploads would hide it."""
    return reply(await context(request).engine.purchase("batch"))


@call(
    "POST",
    "/v1/quotes",
    roles=SHOPS,
    tag="Purchases",
    body=Purchase,
    example=examples.PURCHASE,
    answers={200: Quote},
    problems=(UnknownMember, IdConflict, FutureTime, *_REDEEMING),
)
async def quote_purchase(request: Call) -> Reply:
    """Quote a purchase: the receipt it would get, and the most points that may be redeemed on it.

    Nothing is written.
    """
    purchase = await read_json(request, _purchase)
    validate(purchase)
    own_store(caller(request), purchase.store)
    return reply(await context(request).engine.quote(purchase))


@call(
    "POST",
    "/v1/purchases/{purchase_id:str}/returns",
    roles=SHOPS,
    tag="Returns",
    body=ReturnBody,
    example=examples.RETURN,
    answers={201: ReturnReceipt, 200: ReturnReceipt},
    problems=(IdConflict, *_RETURNING),
    replays=True,
)
async def record_return(request: Call) -> Reply:
    """Return goods of a purchase; without lines, all that is left of it."""
    return created(await submit(request, await _read_return(request)))


@call(
    "POST",
    "/v1/purchases/{purchase_id:str}/returns/quote",
    roles=SHOPS,
    tag="Returns",
    body=ReturnBody,
    example=examples.RETURN,
    answers={200: ReturnReceipt},
    problems=(IdConflict, *_RETURNING),
)
async def quote_return(request: Call) -> Reply:
    """Quote a return: what it would take back and give back. Nothing is written."""
    return reply(await context(request).engine.quote(await _read_return(request)))


async def _read_return(request: Call) -> Return:
    purchase_id = id_in_path(request, "purchase_id")
    body = await read_json(request, _return)
    asked = Return(body.return_id, purchase_id, body.occurred_at, body.lines)
    validate(asked)
    return asked


HANDLERS = (
    record_purchase,
    read_purchase,
    explain_purchase,
    read_purchase_called_batch,
    quote_purchase,
    record_return,
    quote_return,
)
