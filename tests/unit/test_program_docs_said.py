"""docs/PROGRAMS.md: what it quotes of `check`, `diff` and `explain` is what they print."""

from datetime import UTC, datetime
from pathlib import Path

from loyalty.cli.program import line_of
from loyalty.program.diff import diff
from loyalty.program.parse import parse
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts
from loyalty.rules.words import in_words
from loyalty.types import PurchaseLine
from tests.unit.test_program_docs import PAGE, program_of

HEAD = """name = "Home Club"
currency = "CNY"
time_zone = "Asia/Shanghai"

[[rules]]
id = "base"
kind = "spend"
points = 1
per_amount = 100

[[rules]]
id = "member-day"
kind = "multiplier"
factor = 2
when = { day_of_month = [8, 11] }

[[rules]]
id = "festival"
kind = "multiplier"
factor = 2
when = { month_day = "11-11" }
from = 2026-11-01
"""
LAMPS = '[[rules]]\nid = "lamps"\nkind = "units"\npoints = 50\n'
TIERS = '[[tiers]]\nid = "ordinary"\n[[tiers]]\nid = "silver"\nqualify = { spend_amount = 500000 }\n'


def quoted(*lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines)


def test_the_warning() -> None:
    (found,) = parse(HEAD).diagnostics
    assert quoted(line_of(Path("club.toml"), found)) in PAGE


def test_the_mistakes() -> None:
    source = (
        HEAD[: HEAD.index("per_amount")].replace("\n\n", "\n")
        + "per_amout = 100\n"
        + '[[rules]]\nid = "evening"\nkind = "multiplier"\nwhen = { time = { until = "25:00" } }\nfactor = 2\n'
    )
    said = [line_of(Path("club.toml"), found) for found in parse(source).diagnostics]
    missing, misspelt, no_time = said
    assert "rules.base.per_amount" in missing
    assert quoted(misspelt, no_time) in PAGE


def test_the_changes() -> None:
    start = HEAD.index('[[rules]]\nid = "member-day"')
    old = program_of(HEAD[: HEAD.index('[[rules]]\nid = "festival"')] + LAMPS + TIERS)
    new = program_of(HEAD[:start] + LAMPS.replace("50", "60") + TIERS.replace("500000", "600000"))
    silver, gone, lamps = diff(old, new)
    assert quoted(silver, lamps, gone) in PAGE


def test_the_sentences() -> None:
    source = (
        HEAD[: HEAD.index('[[rules]]\nid = "member-day"')]
        + '[[rules]]\nid = "x1.2"\nkind = "multiplier"\nfactor = 1.2\nwhen = { tier = "silver" }\n'
        + '[[rules]]\nid = "welcome"\nkind = "flat"\npoints = 100\nwhen = { first_purchase = true }\n'
        + TIERS
    )
    facts = Facts(datetime(2026, 6, 10, 4, tzinfo=UTC), "pos", "silver", first_purchase=True)
    award = compile_program(program_of(source)).judge([PurchaseLine(sku="A", amount=12_900, line=1)], facts)
    assert quoted(*in_words(program_of(source), explain(award), facts, "en", "member")) in PAGE
