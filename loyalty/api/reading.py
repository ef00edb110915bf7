"""Reading what clients send: media type, size, JSON, query and path, each checked before anything is done."""

import re
from datetime import datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from msgspec import Meta, Struct

from loyalty.api.context import Context
from loyalty.api.problems import decode_error
from loyalty.errors import FieldError, InvalidRequest, TooLarge, UnsupportedMediaType
from loyalty.types import RequestId

T = TypeVar("T")
Query = TypeVar("Query", bound=Struct)
Call = Request[Any, Any, Any]

MAX_BODY = 2**20
MAX_BATCH_BODY = 32 * 2**20
MAX_QUERY_FIELDS = 20
ESCAPED_SLASH = "\x1f"
"""Stands in a routed path for a slash that was written %2F; no path that is let in holds it otherwise."""

PageLimit = Annotated[int, Meta(ge=1, le=200, description="How many at most.")]
PAGE_BEFORE = "The `next_cursor` of the page before."
_QUOTED_QUANTITY = re.compile(rb'"quantity"\s*:\s*"')


async def read_json(request: Call, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decode a JSON body of at most 1 MB.

    Raises UnsupportedMediaType, TooLarge or InvalidRequest.
    """
    media_type(request, b"application/json")
    return decode(await read_body(request, MAX_BODY), decoder)


async def read_optional_json(request: Call, decoder: "msgspec.json.Decoder[T]") -> T:
    """Like `read_json`; no body at all stands for `{}`."""
    body = await read_body(request, MAX_BODY)
    if not body:
        return decoder.decode(b"{}")
    media_type(request, b"application/json")
    return decode(body, decoder)


def decode(body: bytes, decoder: "msgspec.json.Decoder[T]", *, in_parts: bool = False) -> T:
    """Decode JSON by its type, refusing what msgspec would read leniently: a number in quotes.

    in_parts: the parts are decoded, and so refused, one by one later.
    """
    try:
        value = decoder.decode(body)
    except msgspec.DecodeError as error:
        raise decode_error(error) from None
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8 text.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    if not in_parts and _QUOTED_QUANTITY.search(body) is not None:
        raise InvalidRequest(
            "quantity: expected a number, got text",
            errors=[FieldError("quantity", "expected a number, got text")],
        )
    return value


def media_type(request: Call, *accepted: bytes) -> bytes:
    """The body's media type, which must be one of `accepted`. Raises UnsupportedMediaType."""
    given = b""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            given = value
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise UnsupportedMediaType("Compressed bodies are not read here; send the body as it is.")
    if given not in accepted:
        kind, _, parameters = given.partition(b";")
        given = kind.strip().lower()
        charset = parameters.replace(b" ", b"").replace(b'"', b"").lower()
        if given not in accepted or (b"charset=" in charset and b"charset=utf-8" not in charset):
            names = " or ".join(kind.decode() for kind in accepted)
            raise UnsupportedMediaType(f"Send the body as {names}, in UTF-8.")
    return given


async def read_body(request: Call, limit: int) -> bytes:
    """The whole body, at most `limit` bytes, announced or not. Raises TooLarge."""
    for name, value in request.scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise InvalidRequest("The caller went away before the body was complete.")
        chunk = message["body"]
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message["more_body"]:
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_query(request: Call, wanted: type[Query]) -> Query:
    """The query as a struct of `wanted`: unknown and repeated fields are refused, like those of a body."""
    raw = request.scope["query_string"]
    if not raw:
        return msgspec.convert({}, wanted)
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError:
        raise InvalidRequest("The query cannot be read: it should be percent-encoded UTF-8.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequest("A field of the query is given twice.")
    try:
        found = msgspec.convert(fields, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise decode_error(error) from None
    # Reading numbers from text, msgspec reads more from it than was meant.
    for field in msgspec.structs.fields(wanted):
        name, value = field.encode_name, getattr(found, field.name)
        if name in fields and value is None:
            raise _wrong(name, "null is no value here; leave the field out")
        if isinstance(value, datetime) and "-" not in fields[name]:
            raise _wrong(name, "expected a time with an offset, such as 2026-01-31T12:00:00+08:00")
    return found


def in_path(request: Call, name: str) -> str:
    """A segment of the path, decoded: `POS%2F17` is `POS/17`."""
    return str(request.scope["path_params"][name]).replace(ESCAPED_SLASH, "/")


def id_in_path(request: Call, name: str) -> str:
    """An id in the path. Raises InvalidRequest when its shape is wrong."""
    try:
        return msgspec.convert(in_path(request, name), RequestId)
    except msgspec.ValidationError:
        raise _wrong(name, "should be 1 to 128 characters of A-Z a-z 0-9 . _ : / -") from None


def context(request: Call) -> Context:
    """What the process holds: the engine, the keys, the settings."""
    found: Context = request.scope["litestar_app"].state["context"]
    return found


def _wrong(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {message}", errors=[FieldError(field, message)])


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit // 2**20} MB.")
