"""From a problem (RFC 9457) back to the error that it tells of."""

from typing import Any

import msgspec
from msgspec import Struct

from loyalty.errors import FieldError, LoyaltyError

_BY_CODE = {kind.code: kind for kind in LoyaltyError.__subclasses__()}
_SAID = frozenset({"type", "title", "status", "detail", "code", "errors"})


class _Problem(Struct):
    """What every problem of the engine holds; a proxy has its own words."""

    code: str
    detail: str = ""
    errors: tuple[FieldError, ...] = ()


_problem = msgspec.json.Decoder(_Problem)


def read_problem(body: bytes) -> LoyaltyError:
    """The error of a refused call's body. Raises what decoding raises if it is not the engine's."""
    _problem.decode(body)
    return refusal(msgspec.json.decode(body))


def refusal(problem: dict[str, Any]) -> LoyaltyError:
    """The error of a problem's members; what else it says becomes its facts.

    A code that this client does not know gives a LoyaltyError whose facts hold it.
    """
    facts = {name: value for name, value in problem.items() if name not in _SAID}
    kind = _BY_CODE.get(problem.get("code", ""))
    if kind is None:
        kind, facts = LoyaltyError, facts | {"code": problem.get("code")}
    errors = [FieldError(one["path"], one["message"]) for one in problem.get("errors", ())]
    return kind(problem.get("detail", ""), errors=errors, **facts)
