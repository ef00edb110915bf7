"""The JSON Schema (2020-12) of the program file, so that editors complete it and mark mistakes while it is written.

Made from the tables that the parser reads by. It holds the shape: keys, types, ranges, words. What needs more
than that (an id used twice, a tier that does not exist, `until` before `from`) only `check` can tell.
"""

from collections.abc import Callable
from typing import Any

from loyalty.program.key_types import (
    Choice,
    Day,
    Flag,
    Key,
    MonthDay,
    Name,
    Number,
    Some,
    TableOf,
    TablesOf,
    Text,
    WallTime,
    Whole,
    Zone,
)
from loyalty.program.keys import PROGRAM
from loyalty.program.parse import zone_names

Schema = dict[str, Any]

_OF_A_YEAR = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
)
_DAY = f"^(?!0000)[0-9]{{4}}-{_OF_A_YEAR}$"
_TIME = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]+)?)?$"
_MONTH_DAY = f"^{_OF_A_YEAR}$"


def schema() -> Schema:
    """The schema as a JSON value, the same for the same version of the engine."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Loyalty program",
        **_table(PROGRAM),
    }


def _described(key: Key) -> Schema:
    found = {"description": key.says, **_SHAPES[type(key)](key)}
    if key.default is not None:
        found["default"] = key.default
    return found


def _table(key: Any) -> Schema:
    table: TableOf = key
    found: Schema = {
        "description": table.says,
        "type": "object",
        "properties": {name: _described(known) for name, known in table.keys.items()},
        "additionalProperties": False,
    }
    required = [name for name, known in table.keys.items() if known.required]
    if required:
        found["required"] = required
    if table.some_of:
        found["anyOf"] = [{"required": [name]} for name in table.some_of]
    if table.kinds:
        found["allOf"] = [_of_kind(table, kind) for kind in table.kinds]
    return found


def _of_kind(table: TableOf, name: str) -> Schema:
    """What one value of `kind` asks for, and that it has no key that belongs to other kinds only."""
    kind = table.kinds[name]
    then: Schema = {}
    if kind.needs:
        then["required"] = list(kind.needs)
    if kind.one_of:
        then["oneOf"] = [{"required": [one]} for one in kind.one_of]
    owned = {key for other in table.kinds.values() for key in other.own}
    foreign = [key for key in table.keys if key in owned - kind.own]
    properties: Schema = dict.fromkeys(foreign, False)
    for table_name, keys in kind.without.items():
        properties[table_name] = {"properties": dict.fromkeys(keys, False)}
    if properties:
        then["properties"] = properties
    return {"if": {"properties": {"kind": {"const": name}}, "required": ["kind"]}, "then": then}


def _text(key: Any) -> Schema:
    known: Text = key
    return {"type": "string", "pattern": "^" + known.pattern.pattern.removesuffix("\\Z") + "$"}


def _number(key: Any) -> Schema:
    known: Number = key
    low = "exclusiveMinimum" if known.above else "minimum"
    return {"type": "number", low: known.low, "maximum": known.high}


def _some(key: Any) -> Schema:
    known: Some = key
    item = _SHAPES[type(known.item)](known.item)
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


_SHAPES: dict[type[Key], Callable[[Any], Schema]] = {
    Text: _text,
    Zone: lambda _: {"type": "string", "enum": sorted(zone_names())},
    Choice: lambda key: {"type": "string", "enum": list(key.options)},
    Flag: lambda _: {"type": "boolean"},
    Whole: lambda key: {"type": "integer", "minimum": key.low, "maximum": key.high},
    Number: _number,
    Day: lambda _: {"type": "string", "format": "date", "pattern": _DAY},
    WallTime: lambda _: {"type": "string", "pattern": _TIME},
    MonthDay: lambda _: {"type": "string", "pattern": _MONTH_DAY},
    Name: lambda _: {"type": "string", "minLength": 1, "maxLength": 128},
    Some: _some,
    TableOf: _table,
    TablesOf: lambda key: {"type": "array", "items": _table(key.each)},
}
