"""Rules of kind `event`: what they give, what the file may say of them, and how they are told."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from loyalty.program.diff import diff
from loyalty.program.model import Program
from loyalty.program.parse import parse
from loyalty.program.schema import schema
from loyalty.rules.award import Award, explain, rounding_text
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts, Used
from loyalty.rules.words import in_words
from loyalty.types import PurchaseLine
from tests.json_schema import broken
from tests.unit.test_program_schema import tree

HEAD = 'name = "P"\ncurrency = "CNY"\ntime_zone = "Asia/Shanghai"\n'
BASE = '[[rules]]\nid = "base"\nkind = "spend"\npoints = 1\nper_amount = 100\n'
TIERS = '[[tiers]]\nid = "ordinary"\n[[tiers]]\nid = "silver"\nqualify = { visits = 9 }\n'
DAILY = "limit = { per_member_day = 1 }"
SUNDAY_NOON = datetime(2026, 11, 8, 4, tzinfo=UTC)


def rule(id: str, points: str = "20", type: str = '"survey"', more: str = DAILY) -> str:
    return f'[[rules]]\nid = "{id}"\nkind = "event"\npoints = {points}\ntype = {type}\n{more}\n'


def program(text: str) -> Program:
    parsed = parse(HEAD + text)
    assert parsed.program is not None, parsed.diagnostics
    return parsed.program


def judge(text: str, type: str = "survey", channel: str = "", **said: Any) -> Award:
    facts = Facts(said.pop("at", SUNDAY_NOON), channel, said.pop("tier", "ordinary"), **said)
    return compile_program(program(text)).judge_event(type, facts)


def test_an_event_earns_what_the_rules_of_its_type_give() -> None:
    rules = BASE + rule("a") + rule("b", "1.5", '["review", "survey"]') + rule("c", "7", '"check-in"')
    award = judge(rules)
    assert award.points == 21
    assert [(row.rule, row.points, row.line) for row in explain(award)] == [
        ("a", "20", None),
        ("b", "1.5", None),
    ]
    assert (rounding_text(award), award.metric_amount) == ("0.5", 0)
    assert award.charges == {"a": (1, 20), "b": (1, 2)}
    assert judge(rules, "review").points == 1


def test_an_event_that_no_rule_knows_earns_nothing() -> None:
    award = judge(rule("a"), "visit")
    assert (award.points, explain(award), award.charges) == (0, [], {})


def test_purchases_and_events_have_rules_of_their_own() -> None:
    rules = BASE + rule("a") + '[[rules]]\nid = "x"\nkind = "multiplier"\nfactor = 2\n'
    bought = compile_program(program(rules)).judge(
        [PurchaseLine(sku="survey", amount=1000, line=1)], Facts(SUNDAY_NOON, "pos", "ordinary")
    )
    assert bought.points == 20
    assert judge(rules).points == 20


@pytest.mark.parametrize(
    ("when", "said", "points"),
    [
        ('weekday = "sun"', {}, 20),
        ('weekday = "mon"', {}, 0),
        ('tier = "silver"', {"tier": "silver"}, 20),
        ('tier = "silver"', {}, 0),
        ('channel = "app"', {"channel": "app"}, 20),
        ('channel = "app"', {}, 0),
        ('birthday = "week"', {"birthday": frozenset({"week"})}, 20),
        ('birthday = "day"', {"birthday": frozenset({"week"})}, 0),
        ('time = { from = "12:00", until = "12:01" }', {}, 20),
        ('time = { from = "12:01" }', {}, 0),
        ('month_day = "11-08", day_of_month = 8', {}, 20),
    ],
)
def test_conditions(when: str, said: dict[str, Any], points: int) -> None:
    assert judge(TIERS + rule("a", more=f"when = {{ {when} }}"), **said).points == points


def test_dates_are_local() -> None:
    rules = rule("a", more="from = 2026-11-08\nuntil = 2026-11-09")
    assert judge(rules, at=datetime(2026, 11, 7, 16, tzinfo=UTC)).points == 20
    assert judge(rules, at=datetime(2026, 11, 8, 16, tzinfo=UTC)).points == 0


def test_of_a_group_the_rule_worth_most_after_limits_counts() -> None:
    rules = rule("a", "30", more='group = "g"\nlimit = { per_member_points = 40 }') + rule(
        "b", more='group = "g"'
    )
    assert judge(rules).charges == {"a": (1, 30)}
    assert [one.rule for one in explain(judge(rules, used={"a": Used(times=1, points=30)}))] == ["b"]


@pytest.mark.parametrize(
    ("limit", "used", "points"),
    [
        ("per_member = 2", Used(times=1), 20),
        ("per_member = 2", Used(times=2), 0),
        ("per_member_day = 1", Used(times=5), 20),
        ("per_member_day = 1", Used(times_day=1), 0),
        ("per_member_points = 50", Used(points=45), 5),
        ("budget_points = 50", Used(budget_left=7), 7),
    ],
)
def test_limits(limit: str, used: Used, points: int) -> None:
    award = judge(rule("a", more=f"limit = {{ {limit} }}"), used={"a": used})
    assert award.points == points


@pytest.mark.parametrize(
    ("rules", "key", "words"),
    [
        ('[[rules]]\nid = "a"\nkind = "event"\npoints = 1\n', "rules.a.type", "is missing"),
        (rule("a", type='"a b"'), "rules.a.type", "is not an id"),
        (rule("a", type="[]"), "rules.a.type", "matches nothing"),
        (rule("a", more='where = { sku = "A" }'), "rules.a.where", "no lines"),
        (rule("a", more='when = { store = "s" }'), "rules.a.when.store", "about a purchase"),
        (rule("a", more="when = { min_amount = 1 }"), "rules.a.when.min_amount", "about a purchase"),
        (
            rule("a", more="when = { first_purchase = true }"),
            "rules.a.when.first_purchase",
            "about a purchase",
        ),
        (
            rule("a", more="limit = { per_purchase_points = 1 }"),
            "rules.a.limit.per_purchase_points",
            "about a purchase",
        ),
        (BASE + 'type = "survey"\n', "rules.base.type", 'belongs to kind = "event"'),
    ],
)
def test_what_means_nothing_is_a_mistake_for_check_and_for_editors(rules: str, key: str, words: str) -> None:
    parsed = parse(HEAD + rules)
    assert parsed.program is None
    assert any(found.key == key and words in found.message for found in parsed.diagnostics), (
        parsed.diagnostics
    )
    assert broken(schema(), tree(HEAD + rules))


def test_the_schema_takes_what_the_parser_takes() -> None:
    assert not broken(schema(), tree(HEAD + TIERS + rule("a", more='when = { tier = "silver" }\n' + DAILY)))


def warned(text: str) -> list[tuple[str, str]]:
    return [(found.key, found.message) for found in parse(HEAD + BASE + text).diagnostics]


def test_an_event_without_end_is_surely_not_meant() -> None:
    for more in ("", 'when = { birthday = "day" }', "until = 2026-12-01\nlimit = { budget_points = 100 }"):
        ((key, message),) = warned(rule("a", more=more))
        assert key == "rules.a.points"
        assert "per_member_day" in message
    assert not warned(rule("a"))


def test_groups_are_of_events_or_of_purchases() -> None:
    flat = '[[rules]]\nid = "f"\nkind = "flat"\npoints = 9\nwhen = { min_amount = 5000 }\ngroup = "g"\n'
    keys = [key for key, _ in warned(rule("a", more=DAILY + '\ngroup = "g"') + flat)]
    assert keys == ["rules.a.group", "rules.f.group"]


def test_who_always_loses_among_events_of_one_type_is_told() -> None:
    once = 'group = "g"'
    both = rule("a", more=once) + rule("b", "30", more=once)
    assert any(key == "rules.a.group" and "never counts" in message for key, message in warned(both))
    apart = rule("a", more=once) + rule("b", "30", '"review"', more=once)
    assert not any("never counts" in message for _, message in warned(apart))


def test_changes_in_plain_words() -> None:
    old, new = program(rule("a")), program(rule("a", "30", '["survey", "review"]'))
    assert diff(old, new) == ["rule a: 20 -> 30 points an event", "rule a: now also for review"]
    assert diff(program(BASE), program(BASE + rule("a"))) == [
        "rule a is new: 20 points an event, for survey, at most 1 time a member and day"
    ]


@pytest.mark.parametrize(
    ("language", "audience", "said"),
    [
        ("en", "member", ["You earned 20 points.", "20 points: for survey, since 2026-01-01."]),
        (
            "en",
            "staff",
            ["20 points earned, in tier ordinary.", "a: 20 points (for survey, since 2026-01-01)."],
        ),
        ("zh", "member", ["您本次获得 20 积分。", "20 积分：活动 survey，自 2026-01-01 起。"]),
    ],
)
def test_in_words(language: str, audience: Any, said: list[str]) -> None:
    rules = program(rule("a", more="from = 2026-01-01"))
    facts = Facts(SUNDAY_NOON, "", "ordinary")
    award = compile_program(rules).judge_event("survey", facts)
    assert rules.rules[0].from_on == date(2026, 1, 1)
    assert in_words(rules, explain(award), facts, language, audience, "survey") == said
    nothing = in_words(rules, [], facts, "en", "member", "visit")
    assert nothing == ["visit earned no points."]
