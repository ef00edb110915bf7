"""Program files: every default, every mistake with its line and key, all of them in one go."""

import json
import subprocess
import sys
from datetime import date, time
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.program.model import (
    ExpireAfter,
    ExpireFixed,
    ExpireInactivity,
    ExpireNever,
    Period,
    Program,
    Tier,
    TierPolicy,
    WindowCalendarYear,
)
from loyalty.program.parse import parse, same_frame, starter

HEAD = 'name = "P"\ncurrency = "CNY"\ntime_zone = "Asia/Shanghai"\n'
BASE = '[[rules]]\nid = "base"\nkind = "spend"\npoints = 1\nper_amount = 100\n'


def read(text: str) -> Program:
    parsed = parse(HEAD + text)
    assert parsed.program is not None, parsed.diagnostics
    return parsed.program


def errors(text: str, head: str = HEAD) -> list[tuple[int | None, str, str]]:
    """Errors with lines counted from 1 in `text`."""
    parsed = parse(head + text)
    assert (parsed.program is None) == any(found.severity == "error" for found in parsed.diagnostics)
    skipped = head.count("\n")
    return [
        (found.line and found.line - skipped, found.key, found.message)
        for found in parsed.diagnostics
        if found.severity == "error"
    ]


def test_what_is_left_out_takes_the_default() -> None:
    program = read(BASE)
    points = program.points
    assert (points.rounding, points.shortfall, points.unlinked_returns) == ("floor", "debt", "base")
    assert (points.pending_days, points.late_grace_days, points.restore_grace_days) == (0, 0, 0)
    assert points.expiry == ExpireNever()
    assert points.multipliers == "add"
    assert program.redemption is None
    assert program.tiers == (Tier(id="ordinary"),)
    assert program.tier_policy == TierPolicy()


@pytest.mark.parametrize(
    ("text", "expiry"),
    [
        ('{ kind = "never" }', ExpireNever()),
        ('{ kind = "after", days = 30 }', ExpireAfter(Period(days=30))),
        ('{ kind = "after", years = 2, round_to = "quarter" }', ExpireAfter(Period(years=2), "quarter")),
        ('{ kind = "fixed", month_day = "02-29", min_days = 90 }', ExpireFixed(2, 29, 90)),
        ('{ kind = "inactivity", months = 12 }', ExpireInactivity(Period(months=12))),
    ],
)
def test_every_expiry(text: str, expiry: object) -> None:
    assert read(f"[points]\nexpiry = {text}\n{BASE}").points.expiry == expiry


def test_numbers_with_a_fraction_are_exact() -> None:
    program = read(
        BASE
        + '[[rules]]\nid = "x"\nkind = "multiplier"\nfactor = 1.15\n'
        + "[redemption]\npoints = 100\namount = 100\nmax_basket_share = 0.3\n"
        + '[[tiers]]\nid = "a"\nbenefits = { discount_percent = 2.5, privileges = ["b", "a"] }\n'
    )
    assert program.rules[1].factor == Fraction(115, 100)
    assert program.redemption is not None
    assert program.redemption.max_basket_share == Fraction(3, 10)
    assert program.tiers[0].benefits.discount_percent == Decimal("2.5")
    assert program.tiers[0].benefits.privileges == ("b", "a")


def test_json_holds_the_same_tree() -> None:
    toml = (
        BASE
        + 'from = 2026-11-01\n[rules.when]\ntime = { from = 18:00:00, until = "21:00" }\nweekday = ["mon", "sun"]\n'
    )
    tree = {
        "name": "P",
        "currency": "CNY",
        "time_zone": "Asia/Shanghai",
        "rules": [
            {
                "id": "base",
                "kind": "spend",
                "points": 1,
                "per_amount": 100,
                "from": "2026-11-01",
                "when": {"time": {"from": "18:00", "until": "21:00"}, "weekday": ["mon", "sun"]},
            }
        ],
    }
    program = parse(json.dumps(tree), "json").program
    assert program == read(toml)
    when = program.rules[0].when
    assert when is not None
    assert (program.rules[0].from_on, when.time_from, when.time_until) == (
        date(2026, 11, 1),
        time(18),
        time(21),
    )
    assert when.weekday == frozenset({0, 6})


def test_all_mistakes_are_told_at_once_with_line_and_key() -> None:
    text = '''
[points]
rounding = "flor"
expiry = { kind = "after", month = 12 }
note = """
[rules]
"""
[[rules]]
id = "night"
kind = "spend"
points = "1"
when.time = { from = "18:00",  until = "25:00" }
[[rules]]
id = "night"
kind = "multiplier"
factor = 0
[rules.when]
weekday = [
  "mon",  # a comment with ] in it
  "tues",
]
tier = ["gold"]
'''
    found = errors(text)
    assert [(line, key) for line, key, _ in found] == [
        (3, "points.rounding"),
        (4, "points.expiry.month"),
        (4, "points.expiry.months"),
        (5, "points.note"),
        (8, "rules.night.per_amount"),
        (11, "rules.night.points"),
        (12, "rules.night.when.time.until"),
        (14, "rules[1].id"),
        (16, "rules[1].factor"),
        (20, "rules[1].when.weekday[1]"),
        (22, "rules[1].when.tier"),
    ]
    messages = " ".join(message for _, _, message in found)
    for part in ('"flor"', "did you mean floor?", "did you mean months?", '"25:00"', '"tues"', '"gold"'):
        assert part in messages


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("points = 1\n", "points"),
        ("[points]\npending_days = -1\n", "points.pending_days"),
        ("[points]\npending_days = true\n", "points.pending_days"),
        ("[points]\nexclude = {}\n", "points.exclude"),
        ('[points]\nexpiry = { kind = "fixed", month_day = "02-30" }\n', "points.expiry.month_day"),
        ('[points]\nexpiry = { kind = "fixed" }\n', "points.expiry.month_day"),
        ('[points]\nexpiry = { kind = "after", days = 1, months = 1 }\n', "points.expiry.months"),
        ('[points]\nexpiry = { kind = "never", days = 1 }\n', "points.expiry.days"),
        ("[redemption]\npoints = 100\n", "redemption.amount"),
        ("[redemption]\npoints = 1\namount = 1\nmax_basket_share = 0\n", "redemption.max_basket_share"),
        ("[redemption]\npoints = 1\namount = 1\nmax_basket_share = 1.01\n", "redemption.max_basket_share"),
        ('[[tiers]]\nid = "a"\nqualify = { visits = 1 }\n', "tiers.a.qualify"),
        ('[[tiers]]\nid = "a"\n[[tiers]]\nid = "b"\n', "tiers.b.qualify"),
        ('[[tiers]]\nid = "a"\n[[tiers]]\nid = "b"\nqualify = {}\n', "tiers.b.qualify.spend_amount"),
        ('[[tiers]]\nid = "a"\n[[tiers]]\nid = "a"\nqualify = { visits = 1 }\n', "tiers[1].id"),
        ('[tier_policy]\nwindow = { kind = "calendar_year", months = 6 }\n', "tier_policy.window.months"),
        ('[[rules]]\nid = "bad id"\nkind = "flat"\npoints = 1\n', "rules[0].id"),
        ('[[rules]]\nkind = "flat"\npoints = 1\n', "rules[0].id"),
        ('[[rules]]\nid = "r"\nkind = "flatt"\npoints = 1\n', "rules.r.kind"),
        ('[[rules]]\nid = "r"\nkind = "multiplier"\nfactor = 2\npoints = 1\n', "rules.r.points"),
        ('[[rules]]\nid = "r"\nkind = "multiplier"\nfactor = 0.5\n', "rules.r.factor"),
        ('[[rules]]\nid = "r"\nkind = "flat"\npoints = 0\n', "rules.r.points"),
        ('[[rules]]\nid = "r"\nkind = "flat"\npoints = 1e99999999\n', "rules.r.points"),
        ('[[rules]]\nid = "r"\nkind = "flat"\npoints = nan\n', "rules.r.points"),
        (BASE + "until = 2026-11-01\nfrom = 2026-11-01\n", "rules.base.until"),
        (BASE + 'until = "2026-13-01"\n', "rules.base.until"),
        (BASE + "until = 2026-11-01T00:00:00Z\n", "rules.base.until"),
        (BASE + "when = { day_of_month = [32] }\n", "rules.base.when.day_of_month[0]"),
        (BASE + 'when = { birthday = "year" }\n', "rules.base.when.birthday"),
        (BASE + "where = { sku = [] }\n", "rules.base.where.sku"),
        (BASE + "limit = {}\n", "rules.base.limit"),
        (BASE + "limit = { budget_points = 0 }\n", "rules.base.limit.budget_points"),
        (BASE + "[other]\n", "other"),
    ],
)
def test_each_mistake_names_its_key(text: str, key: str) -> None:
    assert key in [found for _, found, _ in errors(text)]


def test_missing_and_unknown_heads() -> None:
    found = errors('curency = "CNY"\ntime_zone = "Asia/Shangai"\n', head="")
    assert [key for _, key, _ in found] == ["curency", "name", "currency", "time_zone"]
    assert "did you mean currency?" in found[0][2]
    assert "did you mean Asia/Shanghai?" in found[3][2]


@pytest.mark.parametrize(
    ("source", "line"),
    [("a = 1\nb = [1,\n", 3), ("a = 1\nb = ?\n", 2), (b"a = 1\n\xff", 2), ("a = 2026-02-30", 1)],
)
def test_a_file_that_cannot_be_read_says_where(source: str | bytes, line: int) -> None:
    parsed = parse(source)
    assert parsed.program is None
    assert parsed.diagnostics[0].line == line


@pytest.mark.parametrize("source", ["[", '{"a": NaN}', '{"name": "a", "name": "b"}', "[]", "[" * 100_000])
def test_json_that_cannot_be_read_is_a_diagnostic(source: str) -> None:
    assert parse(source, "json").program is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (BASE + "limit = { budget_points = 5 }\n", "rules.base.limit.budget_points"),
        (BASE + 'group = "g"\n', "rules.base.group"),
        (BASE + 'when = { day_of_month = [31], month_day = ["11-30"] }\n', "rules.base.when"),
        (BASE + 'where = { sku = ["a"], not_sku = ["a"] }\n', "rules.base.where.not_sku"),
        ("", "rules"),
        (
            BASE
            + '[[tiers]]\nid = "a"\n[[tiers]]\nid = "b"\nqualify = { visits = 9 }\n'
            + '[[tiers]]\nid = "c"\nqualify = { visits = 8 }\n',
            "tiers.c.qualify.visits",
        ),
    ],
)
def test_what_is_surely_not_meant_is_a_warning(text: str, key: str) -> None:
    parsed = parse(HEAD + text)
    assert parsed.program is not None
    assert [(found.severity, found.key) for found in parsed.diagnostics] == [("warning", key)]


def test_the_starter_is_sound_and_can_be_redeemed() -> None:
    program = starter()
    assert [tier.id for tier in program.tiers] == ["ordinary", "silver", "gold"]
    assert program.redemption is not None
    assert (program.rules[0].points, program.rules[0].per_amount) == (Fraction(1), 100)


def test_currency_and_tier_ids_stay() -> None:
    old = starter()
    assert same_frame(old, msgspec.structs.replace(old, name="Other")) == []
    changed = msgspec.structs.replace(old, currency="EUR", tiers=old.tiers[:2])
    assert [found.key for found in same_frame(old, changed)] == ["currency", "tiers"]
    assert '"gold"' in same_frame(old, changed)[1].message


def test_a_calendar_year_window() -> None:
    program = read('[tier_policy]\nwindow = { kind = "calendar_year" }\n' + BASE)
    assert program.tier_policy.window == WindowCalendarYear()


KEYS = [
    "name",
    "currency",
    "time_zone",
    "points",
    "rules",
    "tiers",
    "redemption",
    "tier_policy",
    "id",
    "kind",
    "when",
    "where",
    "limit",
    "from",
    "until",
    "time",
    "expiry",
    "window",
    "benefits",
    "qualify",
    "factor",
    "weekday",
    "sku",
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


@given(JUNK)
def test_no_tree_whatever_raises(tree: object) -> None:
    parsed = parse(json.dumps(tree), "json")
    assert parsed.program is None
    assert parsed.diagnostics


@given(st.text(max_size=60) | st.text(alphabet="[]{}=\"'#\n .,ab1-", max_size=60))
def test_no_text_whatever_raises(text: str) -> None:
    assert parse(text).program is None


def test_zones_are_those_of_the_pinned_tzdata_whatever_was_imported_before() -> None:
    asked = "from loyalty.program.parse import zone_names; print('localtime' in zone_names(), len(zone_names()) > 400)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "True"]
