"""Just enough of JSON Schema 2020-12 to judge a program file by. A keyword that it does not know is a failure."""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

_SAYS_NOTHING = {"$schema", "title", "description", "default", "format", "then"}
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, Decimal, float),
}


@cache
def _pattern(rule: str) -> re.Pattern[str]:
    """`$` is the end in JSON Schema; in Python it would let a last newline pass."""
    return re.compile(rule.removesuffix("$") + r"\Z" if rule.endswith("$") else rule)


def broken(schema: Any, value: Any, at: str = "") -> list[str]:
    """Where `value` breaks `schema`, and by which keyword: `rules/0/kind: enum`. Empty when it is valid."""
    if isinstance(schema, bool):
        return [] if schema else [f"{at}: forbidden"]
    return [found for keyword, rule in schema.items() for found in _judge(schema, keyword, rule, value, at)]


def _judge(schema: Any, keyword: str, rule: Any, value: Any, at: str) -> Iterator[str]:
    if keyword in _SAYS_NOTHING:
        return
    if keyword == "properties":
        for name, known in rule.items():
            if isinstance(value, dict) and name in value:
                yield from broken(known, value[name], f"{at}/{name}")
    elif keyword == "items":
        for number, item in enumerate(value if isinstance(value, list) else ()):
            yield from broken(rule, item, f"{at}/{number}")
    elif keyword == "allOf":
        for each in rule:
            yield from broken(each, value, at)
    elif keyword == "if":
        if not broken(rule, value, at):
            yield from broken(schema["then"], value, at)
    elif not _holds(schema, keyword, rule, value, at):
        yield f"{at}: {keyword}"


def _holds(schema: Any, keyword: str, rule: Any, value: Any, at: str) -> bool:
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    text, many, table = isinstance(value, str), isinstance(value, list), isinstance(value, dict)
    checks = {
        "type": lambda: (
            isinstance(value, _TYPES[rule]) and (rule == "boolean" or not isinstance(value, bool))
        ),
        "enum": lambda: value in rule,
        "const": lambda: value == rule,
        "pattern": lambda: not text or _pattern(rule).search(value) is not None,
        "minLength": lambda: not text or len(value) >= rule,
        "maxLength": lambda: not text or len(value) <= rule,
        "maxItems": lambda: not many or len(value) <= rule,
        "minItems": lambda: not many or len(value) >= rule,
        "minimum": lambda: not number or value >= rule,
        "exclusiveMinimum": lambda: not number or value > rule,
        "maximum": lambda: not number or value <= rule,
        "required": lambda: not table or all(name in value for name in rule),
        "additionalProperties": lambda: not table or value.keys() <= schema["properties"].keys(),
        "anyOf": lambda: any(not broken(each, value, at) for each in rule),
        "oneOf": lambda: sum(not broken(each, value, at) for each in rule) == 1,
    }
    return bool(checks[keyword]())
