"""From the text of a program to its values, or to the list of all that is wrong with it.

TOML and JSON hold the same tree. Numbers with a fraction are read as exact decimals (DESIGN.md section 9).
"""

import json
import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from msgspec import Struct

from loyalty.calendar import known_zones
from loyalty.program.checks import check_program, same_frame
from loyalty.program.diagnostics import Diagnostic, Path, Report, nearest, quote
from loyalty.program.keys import PROGRAM
from loyalty.program.model import Program
from loyalty.program.positions import json_lines, toml_lines
from loyalty.program.reader import Table
from loyalty.program.rule_keys import IDENTIFIER
from loyalty.program.rules_section import read_discounts, read_rules
from loyalty.program.sections import (
    read_points,
    read_redemption,
    read_tier_policy,
    read_tiers,
)

__all__ = ["Parsed", "parse", "same_frame", "starter", "starter_source"]

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)\Z")


class Parsed(Struct, frozen=True):
    """What a file says. `program` is None when any diagnostic is an error."""

    program: Program | None
    diagnostics: list[Diagnostic]


def parse(
    source: str | bytes, format: Literal["toml", "json"] = "toml", starts_at: datetime | None = None
) -> Parsed:
    """Reads a program file and reports everything wrong with it at once.

    Args:
        source: the file's text; bytes are UTF-8.
        format: `json` is the same tree, with dates as strings.
        starts_at: from when it is to be in force (aware); then rules that are over by then get a warning.
    Returns:
        the program with every default filled in, and diagnostics in the order of the file.
        Bad input never raises.
    """
    try:
        text = source.decode("utf-8-sig") if isinstance(source, bytes) else source.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1 if isinstance(source, bytes) else 1
        return _unreadable(line, "the file is not UTF-8 text: save it as UTF-8")
    try:
        tree, lines = _load_toml(text) if format == "toml" else _load_json(text)
    except RecursionError:
        return _unreadable(None, "lists or tables are nested too deeply to be a program")
    except json.JSONDecodeError as error:
        return _unreadable(error.lineno, f"this is not JSON: {error.msg}")
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        return _unreadable(line, f"this is not TOML: {_AT_LINE.sub('', str(error))}")
    except ValueError as error:
        return _unreadable(None, f"this cannot be read: {error}")
    if not isinstance(tree, dict):
        return _unreadable(1, f"a program is a table, not {quote(tree)}")
    report = Report(lines, _names(tree))
    program = _program(Table(tree, (), report, PROGRAM))
    check_program(program, report, starts_at)
    return Parsed(None if report.failed else program, report.diagnostics())


@cache
def starter_source() -> str:
    """The starter program's file."""
    return files("loyalty.program").joinpath("starter.toml").read_text(encoding="utf-8")


@cache
def starter() -> Program:
    """The program of a database that has none: 1 point for 1.00, three tiers."""
    program = parse(starter_source()).program
    assert program is not None, "the starter program ships with the package and is tested"
    return program


def _unreadable(line: int | None, message: str) -> Parsed:
    return Parsed(None, [Diagnostic("error", line, "", message)])


def _load_toml(text: str) -> tuple[Any, Mapping[Path, int]]:
    tree = tomllib.loads(text, parse_float=Decimal)
    return tree, {(): 1} | toml_lines(text.replace("\r\n", "\n"))


def _load_json(text: str) -> tuple[Any, Mapping[Path, int]]:
    tree = json.loads(
        text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_without_doubles
    )
    return tree, json_lines(text)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {quote(double)} stands twice in one object: keep one")
    return table


def _names(tree: Mapping[str, Any]) -> dict[Path, str]:
    """The ids of rules, discounts and tiers by their place, for those that have a good one of their own."""
    names: dict[Path, str] = {}
    for section in ("rules", "discounts", "tiers"):
        items = tree.get(section)
        if not isinstance(items, list):
            continue
        used: set[str] = set()
        for number, item in enumerate(items):
            name = item.get("id") if isinstance(item, dict) else None
            if isinstance(name, str) and IDENTIFIER.match(name) and name not in used:
                names[section, number] = name
                used.add(name)
    return names


def _program(table: Table) -> Program:
    for key, example in (
        ("name", 'name = "Home Club"'),
        ("currency", 'currency = "CNY"'),
        ("time_zone", 'time_zone = "Asia/Shanghai"'),
    ):
        if not table.has(key):
            table.missing(key, f"{example} at the top of the file, before the first [table]")
    return Program(
        name=table.text("name") or "",
        currency=table.text("currency") or "",
        time_zone=_zone(table),
        points=read_points(table.table("points")),
        redemption=read_redemption(table.table("redemption")),
        tiers=read_tiers(table.tables("tiers")),
        tier_policy=read_tier_policy(table.table("tier_policy")),
        rules=read_rules(table.tables("rules")),
        discounts=read_discounts(table.tables("discounts")),
    )


@cache
def zone_names() -> frozenset[str]:
    """The IANA time zones of the pinned tzdata."""
    return known_zones()


def _zone(table: Table) -> zoneinfo.ZoneInfo:
    name = table.raw("time_zone")
    utc = zoneinfo.ZoneInfo("UTC")
    if not table.has("time_zone"):
        return utc
    # zoneinfo opens a file of that name: only names that the list has are asked for.
    known = zone_names()
    if isinstance(name, str) and name in known:
        return zoneinfo.ZoneInfo(name)
    hint = nearest(name, tuple(known)) if isinstance(name, str) else ""
    hint = hint if hint.startswith("did") else 'write one such as "Asia/Shanghai"'
    table.error("time_zone", f"{quote(name)} is no IANA time zone: {hint}")
    return utc
