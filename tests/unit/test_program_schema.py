"""The JSON Schema of the program file: what editors complete by says what the parser says."""

import json
import tomllib
from datetime import date, time
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from loyalty.program.key_types import TableOf, TablesOf
from loyalty.program.keys import PROGRAM
from loyalty.program.parse import parse, starter_source
from loyalty.program.schema import schema
from tests.json_schema import broken
from tests.unit.test_program_docs import examples

ROOT = Path(__file__).parents[2]
HEAD = 'name = "P"\ncurrency = "CNY"\ntime_zone = "Asia/Shanghai"\n'
BASE = '[[rules]]\nid = "base"\nkind = "spend"\npoints = 1\nper_amount = 100\n'
SCHEMA = schema()


def tree(source: str) -> Any:
    """A TOML file as editors see it: dates and times are strings."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return value.isoformat() if isinstance(value, date | time) else value

    return plain(tomllib.loads(source, parse_float=Decimal))


SOUND = [
    *[source for source, _ in examples()],
    starter_source(),
    files("loyalty.demo").joinpath("program.toml").read_text(encoding="utf-8"),
    (ROOT / "bench" / "programs" / "example.toml").read_text(encoding="utf-8"),
]


@pytest.mark.parametrize("source", SOUND)
def test_every_program_that_is_shown_is_valid(source: str) -> None:
    assert parse(source).program is not None
    assert broken(SCHEMA, tree(source)) == []


MISSHAPEN = [
    "points = 1\n",
    "[points]\npending_days = -1\n",
    "[points]\npending_days = true\n",
    '[points]\nrounding = "flor"\n',
    "[points]\nexclude = {}\n",
    "[points]\nexpiry = {}\n",
    '[points]\nexpiry = { kind = "fixed", month_day = "02-30" }\n',
    '[points]\nexpiry = { kind = "fixed" }\n',
    '[points]\nexpiry = { kind = "after" }\n',
    '[points]\nexpiry = { kind = "after", days = 1, months = 1 }\n',
    '[points]\nexpiry = { kind = "never", days = 1 }\n',
    '[points]\nexpiry = { kind = "inactivity", months = 1, round_to = "day" }\n',
    "[redemption]\npoints = 100\n",
    "[redemption]\npoints = 1\namount = 1\nmax_basket_share = 0\n",
    "[redemption]\npoints = 1\namount = 1\nmax_basket_share = 1.01\n",
    '[[tiers]]\nid = "a"\n[[tiers]]\nid = "b"\nqualify = {}\n',
    '[[tiers]]\nname = "a"\n',
    '[tier_policy]\nwindow = { kind = "calendar_year", months = 6 }\n',
    "[tier_policy]\nwindow = { months = 6 }\n",
    '[[rules]]\nid = "bad id"\nkind = "flat"\npoints = 1\n',
    '[[rules]]\nkind = "flat"\npoints = 1\n',
    '[[rules]]\nid = "r"\npoints = 1\n',
    '[[rules]]\nid = "r"\nkind = "flatt"\npoints = 1\n',
    '[[rules]]\nid = "r"\nkind = "spend"\npoints = 1\n',
    '[[rules]]\nid = "r"\nkind = "flat"\npoints = 1\nper_amount = 100\n',
    '[[rules]]\nid = "r"\nkind = "multiplier"\nfactor = 2\npoints = 1\n',
    '[[rules]]\nid = "r"\nkind = "multiplier"\nfactor = 0.5\n',
    '[[rules]]\nid = "r"\nkind = "flat"\npoints = 0\n',
    '[[rules]]\nid = "r"\nkind = "flat"\npoints = "1"\n',
    BASE + 'until = "2026-13-01"\n',
    BASE + "when = { day_of_month = [32] }\n",
    BASE + 'when = { weekday = "tues" }\n',
    BASE + 'when = { birthday = "year" }\n',
    BASE + 'when = { time = { from = "25:00" } }\n',
    BASE + "when = { time = {} }\n",
    BASE + "when = { first_purchase = 1 }\n",
    BASE + "where = { sku = [] }\n",
    BASE + 'where = { sku = [""] }\n',
    BASE + "limit = {}\n",
    BASE + "limit = { budget_points = 0 }\n",
    BASE + "limit = { per_week = 1 }\n",
    BASE + "[other]\n",
]


@pytest.mark.parametrize("text", MISSHAPEN)
def test_what_the_parser_refuses_for_its_shape_the_schema_refuses(text: str) -> None:
    assert parse(HEAD + text).program is None
    assert broken(SCHEMA, tree(HEAD + text))


@pytest.mark.parametrize("gone", ["name", "currency", "time_zone"])
def test_the_head_is_required(gone: str) -> None:
    short = "\n".join(line for line in HEAD.splitlines() if not line.startswith(gone))
    assert broken(SCHEMA, tree(short)) == [": required"]


def test_a_zone_that_does_not_exist_is_refused_and_those_that_do_are_listed() -> None:
    assert broken(SCHEMA, tree(HEAD.replace("Shanghai", "Shangai"))) == ["/time_zone: enum"]
    assert "Europe/Berlin" in SCHEMA["properties"]["time_zone"]["enum"]


def test_leaving_a_key_out_means_what_the_schema_calls_its_default() -> None:
    head = {"name": "P", "currency": "CNY", "time_zone": "Asia/Shanghai"}
    bare: dict[str, Any] = {
        "points": {"expiry": {"kind": "fixed", "month_day": "12-31"}},
        "redemption": {"points": 1, "amount": 1},
        "tiers": [{"id": "a"}, {"id": "b", "qualify": {"visits": 1}}],
        "tier_policy": {"window": {"kind": "rolling"}},
        "rules": [{"id": "r", "kind": "spend", "points": 1, "per_amount": 1}],
    }
    full = json.loads(json.dumps(bare))
    filled = _fill(PROGRAM, full)
    assert filled >= 15
    read = [parse(json.dumps(head | told), "json").program for told in (bare, full)]
    assert read[0] is not None
    assert read[0] == read[1]
    assert (
        parse(json.dumps(head | {"tiers": bare["tiers"], "rules": bare["rules"]}), "json").program
        == parse(
            json.dumps(
                head
                | {key: {} for key in ("points", "tier_policy")}
                | {"tiers": bare["tiers"], "rules": bare["rules"]}
            ),
            "json",
        ).program
    )


def _fill(shape: TableOf, table: dict[str, Any]) -> int:
    """Writes every default into the tables that are there."""
    filled = 0
    for key, known in shape.keys.items():
        if isinstance(known, TableOf) and key in table:
            filled += _fill(known, table[key])
        elif isinstance(known, TablesOf):
            filled += sum(_fill(known.each, item) for item in table.get(key, ()))
        elif known.default is not None:
            table[key] = known.default
            filled += 1
    return filled


def test_every_key_is_described() -> None:
    def walk(found: Any) -> None:
        for key, known in found.get("properties", {}).items():
            assert known.get("description", "").endswith((".", "…")), key
            walk(known)
            walk(known.get("items", {}))

    walk(SCHEMA)
