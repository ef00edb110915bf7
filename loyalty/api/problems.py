"""The only table from what goes wrong to HTTP (DESIGN.md 8, RFC 9457)."""

import re
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import UNSET, Struct, UnsetType

from loyalty import errors as e
from loyalty.api.reply import Reply

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"


class MethodNotAllowed(e.LoyaltyError):
    """The path is known, the method is not. DESIGN.md 8 names no code for it."""

    code = "method-not-allowed"
    title = "This method is not allowed here"


STATUS: dict[type[e.LoyaltyError], int] = {
    e.InvalidRequest: 400,
    e.Unauthenticated: 401,
    e.Forbidden: 403,
    e.NotFound: 404,
    e.UnknownMember: 404,
    e.UnknownPurchase: 404,
    e.UnknownRedemption: 404,
    e.UnknownReward: 404,
    e.UnknownClaim: 404,
    e.UnknownVoucher: 404,
    MethodNotAllowed: 405,
    e.IdConflict: 409,
    e.MemberExists: 409,
    e.MergeConflict: 409,
    e.HoldEnded: 409,
    e.VoucherUsed: 409,
    e.VoucherCancelled: 409,
    e.TooLarge: 413,
    e.UnsupportedMediaType: 415,
    e.InsufficientPoints: 422,
    e.RedemptionNotAllowed: 422,
    e.MemberBlocked: 422,
    e.RewardNotAvailable: 422,
    e.RewardNotForTier: 422,
    e.OutOfStock: 422,
    e.VoucherExpired: 422,
    e.ReturnExceedsPurchase: 422,
    e.ReturnNotAllowed: 422,
    e.FutureTime: 422,
    e.ClockNotForward: 422,
    e.RateLimited: 429,
    e.Internal: 500,
    e.Overloaded: 503,
}
"""HTTP status of each error."""

_DATABASE_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidCatalogNameError,
    OSError,
    TimeoutError,
)


class Problem(Struct, frozen=True):
    """What went wrong. Clients switch on `code`; further members carry facts, such as `available` or `max_points`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[e.FieldError] | UnsetType = UNSET


def problem(error: e.LoyaltyError) -> dict[str, Any]:
    """The members of the problem that tells of `error`."""
    members: dict[str, Any] = {
        "type": f"urn:loyalty:problem:{error.code}",
        "title": error.title,
        "status": STATUS[type(error)],
        "detail": error.detail,
        "code": error.code,
    }
    if error.errors:
        members["errors"] = list(error.errors)
    return members | {name: value for name, value in error.facts.items() if name not in members}


def problem_reply(error: e.LoyaltyError) -> Reply:
    """The answer that tells of `error`."""
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, e.RateLimited | e.Overloaded):
        headers.append((b"retry-after", str(max(1, round(error.facts.get("retry_after", 1)))).encode()))
    elif isinstance(error, e.Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    elif allowed := error.facts.get("allow"):
        headers.append((b"allow", str(allowed).encode()))
    body = msgspec.json.encode(problem(error), enc_hook=str)
    return Reply(body, STATUS[type(error)], media_type=PROBLEM_JSON.encode(), headers=headers)


def as_error(exception: Exception) -> e.LoyaltyError:
    """What `exception` means to the caller. A defect of ours says nothing about itself; it is for the log."""
    match exception:
        case e.LoyaltyError() if type(exception) in STATUS:
            return exception
        case msgspec.DecodeError():
            return decode_error(exception)
        case UnicodeDecodeError():
            return e.InvalidRequest("The body is not UTF-8 text.")
        case RecursionError():
            return e.InvalidRequest("The body is nested too deeply.")
        case HTTPException():
            return _http_error(exception)
    if isinstance(exception, _DATABASE_AWAY) and not isinstance(exception, ValueError):
        log.warning("database_away", error=type(exception).__name__)
        return e.Overloaded(
            "The database does not answer just now; try again with the same ids.", retry_after=1
        )
    log.error("request_failed", exc_info=exception)
    return e.Internal("Something went wrong on our side. Try again with the same ids; nothing is done twice.")


def handle(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
    """Litestar's exception handler for everything."""
    with structlog.contextvars.bound_contextvars(request_id=request.scope.get("request_id")):
        error = as_error(exception)
        if isinstance(error, MethodNotAllowed):
            error.facts["allow"] = request.app.state["methods"].of(request.scope["path"])
        return problem_reply(error).as_response()


def decode_error(exception: msgspec.DecodeError, prefix: str = "") -> e.InvalidRequest:
    """What msgspec found wrong, with the path in our spelling: `lines[2].amount`."""
    message = str(exception)
    if not isinstance(exception, msgspec.ValidationError):
        return e.InvalidRequest(f"The body is not JSON that can be read: {message}.")
    message, _, where = message.partition(" - at `")
    path = where.removesuffix("`").removeprefix("$").removeprefix(".")
    if (found := _FIELD.fullmatch(message)) is not None:
        path = f"{path}.{found['field']}" if path else found["field"]
        message = "is not known here" if found["what"] == "contains unknown" else "is missing"
    elif (found := _REGEX.fullmatch(message)) is not None:
        message = "should be " + _SHAPES.get(path.rpartition(".")[2], f"text that matches {found['regex']}")
    else:
        message = message[:1].lower() + message[1:].replace("`", "").replace("datetime with a timezone component",
            "a time with an offset, such as 2026-01-31T12:00:00+08:00")  # fmt: skip
    path = f"{prefix}{path}"
    return e.InvalidRequest(f"{path or 'body'}: {message}", errors=[e.FieldError(path, message)])


def _http_error(exception: HTTPException) -> e.LoyaltyError:
    match exception.status_code:
        case 404:
            return e.NotFound("There is nothing at this path.")
        case 405:
            return MethodNotAllowed("This path does not take this method.")
        case 413:
            return e.TooLarge("The body is too large.")
        case 500:
            log.error("request_failed", exc_info=exception)
            return e.Internal("Something went wrong on our side.")
    return e.InvalidRequest(exception.detail or "The request is not valid.")


_FIELD = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<field>.*)`", re.DOTALL)
_REGEX = re.compile(r"Expected `str` matching regex '(?P<regex>.*)'", re.DOTALL)
_ID = "1 to 128 characters of A-Z a-z 0-9 . _ : / -"
_SHAPES = {
    "purchase_id": _ID,
    "return_id": _ID,
    "redemption_id": _ID,
    "reversal_id": _ID,
    "adjustment_id": _ID,
    "ext": _ID,
    "member_id": "1 to 64 characters of A-Z a-z 0-9 . _ -",
    "card": "1 to 64 characters of A-Z a-z 0-9 . _ -",
    "phone": "'+' and 2 to 15 digits",
    "email": "an e-mail address",
    "cursor": "the `next_cursor` of the page before, as it came",
}
