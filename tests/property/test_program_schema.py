"""Files made from the JSON Schema alone: what it allows the parser reads, what it forbids the parser refuses."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.program.parse import parse
from loyalty.program.schema import schema
from tests.json_schema import broken

SCHEMA = schema()
ONLY_CHECK_TELLS = (
    "is the id of an earlier",
    "is no tier here",
    "is not after from",
    "is also from",
    "asks for nothing: take qualify out",
    "only the first tier goes without",
)
"""Mistakes that take more than one key to see."""
Shape = dict[str, Any]


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """What the schema allows in a place."""
    if "enum" in shape:
        return st.sampled_from(shape["enum"])
    if "type" not in shape:
        return st.one_of([values(each) for each in shape["anyOf"]])
    if "pattern" in shape:
        inner = shape["pattern"].removesuffix("$") + r"\Z"
        whole = st.from_regex(inner, alphabet=st.characters(codec="ascii"))
        return whole.filter(lambda text: "-02-29" not in text)  # a pattern knows no leap years
    least = shape.get("minimum", shape.get("exclusiveMinimum"))
    drawn: dict[str, Any] = {
        "object": lambda: tables(shape),
        "array": lambda: st.lists(values(shape["items"]), min_size=shape.get("minItems", 0), max_size=3),
        "boolean": st.booleans,
        "integer": lambda: st.integers(least, shape["maximum"]),
        "number": lambda: st.decimals(least, shape["maximum"], places=2).filter(
            lambda one: not broken(shape, one)
        ),
        "string": lambda: st.text(min_size=shape["minLength"], max_size=5),
    }
    found: st.SearchStrategy[Any] = drawn[shape["type"]]()
    return found


@st.composite
def tables(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    """A table that the schema allows: each key that it asks for, and some of those that it leaves open."""
    asked, foreign = set(shape.get("required", ())), set[str]()
    within: dict[str, dict[str, Any]] = {}
    table: dict[str, Any] = {}
    if "anyOf" in shape:
        asked.update(draw(st.sampled_from(shape["anyOf"]))["required"])
    if "allOf" in shape:
        case = draw(st.sampled_from(shape["allOf"]))
        table["kind"], then = case["if"]["properties"]["kind"]["const"], case["then"]
        asked.update(then.get("required", ()))
        ways = then.get("oneOf", ())
        if ways:
            chosen = draw(st.sampled_from(ways))["required"]
            asked.update(chosen)
            foreign.update(name for way in ways for name in way["required"] if name not in chosen)
        for name, rule in then.get("properties", {}).items():
            if rule is False:
                foreign.add(name)
            else:
                within[name] = rule["properties"]
    for name, inner in shape["properties"].items():
        if name in table or name in foreign or not (name in asked or draw(st.integers(0, 2)) == 0):
            continue
        value = draw(values(inner))
        if name in within:
            value = {key: one for key, one in value.items() if key not in within[name]}
        if not broken(inner, value):
            table[name] = value
    return table


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each table and list inside a tree, with each key or index of it."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, -1, 0, 1, 10**17, Decimal("0.5"), Decimal("-0.5"), "", "a", "no id", "2026-02-30", "24:00", "02-30",
        "x" * 129, "A\n", "mon", [], {}, [1], ["a"], [[]], {"kind": "after"}, {"sku": "a"},
    ]
)  # fmt: skip
ADDED = st.sampled_from(("kind", "points", "months", "when", "where", "factor", "type", "other"))


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A sound tree in which one thing was taken out, put in, or replaced."""
    tree = plain(draw(tables(SCHEMA)))
    at, key = draw(st.sampled_from(list(places(tree))))
    change = draw(st.sampled_from(("replace", "remove", "add")))
    if change == "remove":
        del at[key]
    else:
        at[draw(ADDED) if change == "add" and isinstance(at, dict) else key] = draw(ODD)
    return plain(tree)


def plain(tree: Any) -> Any:
    """The tree as it is read from a file of JSON."""
    return json.loads(written(tree), parse_float=Decimal)


def written(tree: Any) -> str:
    return json.dumps(tree, default=float)


def refused(tree: Any) -> list[tuple[str, str]]:
    found = parse(written(tree), "json").diagnostics
    return [
        (one.key, one.message)
        for one in found
        if one.severity == "error" and not any(part in one.message for part in ONLY_CHECK_TELLS)
    ]


@settings(deadline=None, max_examples=30)
@given(tables(SCHEMA))
def test_what_the_schema_allows_the_parser_reads(tree: dict[str, Any]) -> None:
    tree = plain(tree)
    assert broken(SCHEMA, tree) == []
    assert refused(tree) == []


@settings(deadline=None, max_examples=80)
@given(spoilt())
def test_one_odd_value_is_odd_to_both(tree: dict[str, Any]) -> None:
    assert bool(broken(SCHEMA, tree)) == bool(refused(tree)), (broken(SCHEMA, tree), refused(tree))
