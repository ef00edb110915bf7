"""What each call takes and gives, stated once beside its handler: it makes the route, its check and its OpenAPI.

The schemas come from msgspec, which also decodes the bodies: what is written there is what is checked.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from inspect import getdoc
from typing import Any, Literal, cast

import msgspec
from litestar import Litestar, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.header import OpenAPIHeader
from litestar.routes import HTTPRoute
from msgspec import Struct

from loyalty.api.auth import Handler, allow
from loyalty.api.problems import PROBLEM_JSON, STATUS, Problem
from loyalty.errors import (
    Forbidden,
    Internal,
    InvalidRequest,
    LoyaltyError,
    Overloaded,
    RateLimited,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)
from loyalty.types import MemberRef, RequestId, RewardId, Text

REF = "#/components/schemas/{name}"
IN_PATH = {
    "member": MemberRef,
    "purchase_id": RequestId,
    "redemption_id": RequestId,
    "event_id": RequestId,
    "claim_id": RequestId,
    "reward_id": RewardId,
}
"""The types of what stands in paths, by name."""
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Contract(Struct, frozen=True):
    """One call's contract. `roles` None: open to all. Types are those that msgspec decodes and encodes."""

    roles: tuple[str, ...] | None
    body: Any = None
    body_media: tuple[str, ...] = ("application/json",)
    body_required: bool = True
    example: Any = None
    query: type[Struct] | None = None
    answers: dict[int, Any] = {}
    answer_media: str = "application/json"
    problems: tuple[type[LoyaltyError], ...] = ()
    replays: bool = False
    mentions: tuple[type[Struct], ...] = ()


def call(
    method: Method,
    path: str,
    *,
    roles: tuple[str, ...] | None,
    tag: str,
    answers: dict[int, Any],
    body: Any = None,
    body_media: tuple[str, ...] = ("application/json",),
    body_required: bool = True,
    example: Any = None,
    query: type[Struct] | None = None,
    answer_media: str = "application/json",
    problems: tuple[type[LoyaltyError], ...] = (),
    replays: bool = False,
    mentions: tuple[type[Struct], ...] = (),
    listed: bool = True,
) -> Callable[[Handler], HTTPRouteHandler]:
    """Make a handler of an async function `(request) -> Reply`, with its contract.

    Args:
        roles: who may call it, besides admin; None: everybody, without a key.
        answers: type of the answer by status; None: no body.
        example: a body to try out, as a value.
        problems: errors of its own, besides those that any call can meet.
        replays: whether a repeated request is answered with the stored bytes.
        listed: whether the OpenAPI document shows it.
        mentions: types that the schemas of body and answers refer to by name only.
    """
    if roles is not None and "member" in roles and "{member:str}" not in path:
        raise ValueError(f"{path} is open to members, but does not say whose data it reads")
    contract = Contract(
        roles=roles,
        body=body,
        body_media=body_media,
        body_required=body_required,
        example=example,
        query=query,
        answers=answers,
        answer_media=answer_media,
        problems=problems,
        replays=replays,
        mentions=mentions,
    )

    def make(function: Handler) -> HTTPRouteHandler:
        summary, _, description = (getdoc(function) or "").partition("\n")
        handler = route(
            path,
            http_method=[method],
            status_code=200,  # Reply carries its own
            include_in_schema=listed,
            opt={"contract": contract},
            operation_id=function.__name__,
            summary=summary.strip().removesuffix("."),
            description=_description(description, roles),
            tags=[tag],
        )
        return handler(function if roles is None else allow(roles, function))

    return make


def complete(app: Litestar) -> None:
    """Write the contracts of all routes into Litestar's OpenAPI document, which then is whole."""
    document = app.openapi_schema
    found = [
        (route_, handler, contract)
        for route_ in app.routes
        if isinstance(route_, HTTPRoute)
        for handler in route_.route_handlers
        if isinstance(contract := handler.opt.get("contract"), Contract)
        and handler.resolve_include_in_schema()
    ]
    types = {id(kind): kind for _, _, contract in found for kind in _types(contract)}
    schemas, components = msgspec.json.schema_components(list(types.values()), ref_template=REF)
    by_type = dict(zip(types, (_for_browsers(schema) for schema in schemas), strict=True))
    held: dict[str, Any] = {name: _for_browsers(schema) for name, schema in components.items()}
    held["Purchase"]["required"].remove("kind")  # its one value; only among other kinds it must be said
    document.components.schemas = held
    for route_, handler, contract in found:
        item = (document.paths or {})[route_.path_format]
        (method,) = handler.http_methods
        operation = getattr(item, method.lower())
        assert isinstance(operation, Operation)
        _fill(operation, contract, route_, by_type)


def _fill(operation: Operation, contract: Contract, route_: HTTPRoute, schemas: dict[int, Any]) -> None:
    parameters: list[Any] = [
        Parameter(
            name=name,
            param_in="path",
            required=True,
            description="Percent-encode a slash as %2F and a plus in a query as %2B.",
            schema=cast("Schema", _for_browsers(msgspec.json.schema(IN_PATH.get(name, Text)))),
        )
        for name in route_.path_parameters
    ]
    if contract.query is not None:
        schema = msgspec.json.schema_components([contract.query], ref_template=REF)[1][
            contract.query.__name__
        ]
        parameters += [
            Parameter(
                name=name,
                param_in="query",
                required=name in schema.get("required", ()),
                description=_described(one),
                schema=cast("Schema", _without_null(_for_browsers(one))),
            )
            for name, one in schema["properties"].items()
        ]
    operation.parameters = parameters or None
    if contract.body is not None:
        schema = schemas[id(contract.body)]
        example = None if contract.example is None else msgspec.to_builtins(contract.example)
        content = {
            kind: OpenAPIMediaType(schema=schema, example=example)
            if kind == "application/json"
            else OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
            for kind in contract.body_media
        }
        operation.request_body = RequestBody(content=content, required=contract.body_required)
    operation.responses = _responses(contract, schemas, bool(route_.path_parameters))
    if contract.roles is None:
        operation.security = []


def _responses(contract: Contract, schemas: dict[int, Any], has_path: bool) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in contract.answers.items():
        content = None
        if kind is not None:
            content = {contract.answer_media: OpenAPIMediaType(schema=schemas[id(kind)])}
        headers: Any = None
        if contract.replays and status == 200:
            headers = {
                "Idempotent-Replayed": OpenAPIHeader(
                    schema=Schema(type=OpenAPIType.STRING, enum=["true"]),
                    description="The request was repeated: the same bytes as the first time.",
                )
            }
        responses[str(status)] = OpenAPIResponse(
            description=HTTPStatus(status).phrase, content=content, headers=headers
        )
    by_status: dict[int, list[type[LoyaltyError]]] = {}
    for error in _problems(contract, has_path):
        by_status.setdefault(STATUS[error], []).append(error)
    for status, errors in sorted(by_status.items()):
        description = "; ".join(f"`{error.code}`: {error.title}" for error in errors)
        content = {PROBLEM_JSON: OpenAPIMediaType(schema=schemas[id(Problem)])}
        responses[str(status)] = OpenAPIResponse(description=description, content=content)
    return responses


def _problems(contract: Contract, has_path: bool) -> list[type[LoyaltyError]]:
    problems = dict.fromkeys(contract.problems)
    if contract.roles is not None:
        problems |= dict.fromkeys((Unauthenticated, Forbidden, RateLimited, Internal, Overloaded))
    if contract.body is not None:
        problems |= dict.fromkeys((InvalidRequest, TooLarge, UnsupportedMediaType))
    if contract.query is not None or has_path:
        problems |= dict.fromkeys((InvalidRequest,))
    return list(problems)


def _types(contract: Contract) -> list[Any]:
    return [
        kind
        for kind in (contract.body, *contract.answers.values(), *contract.mentions, Problem)
        if kind is not None
    ]


def _description(text: str, roles: tuple[str, ...] | None) -> str:
    who = "open to all" if roles is None else ", ".join((*roles, "admin"))
    return f"{text.strip()}\n\nRoles: {who}.".strip()


def _for_browsers(schema: Any) -> Any:
    """msgspec's JSON schema in the words of other readers: ECMA's anchors, and decimals as the numbers they are."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return {"type": "number", "minimum": 0}
        changed = {key: _for_browsers(value) for key, value in schema.items()}
        if "pattern" in changed:
            changed["pattern"] = re.sub(r"\\Z$", "$", re.sub(r"^\\A", "^", changed["pattern"]))
        if changed.get("default", 0) is None:
            del changed["default"]
        return changed
    if isinstance(schema, list | tuple):
        return [_for_browsers(value) for value in schema]
    return schema


def _described(schema: dict[str, Any]) -> str | None:
    said = (one.get("description") for one in (schema, *schema.get("anyOf", ())))
    return next(filter(None, said), None)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a query's field, which is left out rather than null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**rest, **kinds[0]}
    return schema
