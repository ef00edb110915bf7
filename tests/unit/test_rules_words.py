"""Why a purchase earned what it did, in words: for the member, for staff, in every language."""

import re
import shutil
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loyalty.program.parse import parse
from loyalty.rules import words
from loyalty.rules.award import explain
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts, Used
from loyalty.rules.judge import _rounded
from loyalty.rules.words import Audience, _texts, in_words, languages, rounded
from loyalty.types import PurchaseLine

HEAD = 'name = "P"\ncurrency = "CNY"\ntime_zone = "Asia/Shanghai"\n'
BASE = '[[rules]]\nid = "base"\nkind = "spend"\npoints = 1\nper_amount = 100\n'
TIERS = '[[tiers]]\nid = "ordinary"\n[[tiers]]\nid = "silver"\nqualify = { visits = 9 }\n'
PROGRAM = (
    HEAD
    + '[points]\nexclude = { category = "postage" }\n'
    + TIERS
    + BASE
    + '[[rules]]\nid = "silver-x1.2"\nkind = "multiplier"\nfactor = 1.2\nwhen = { tier = "silver" }\n'
    + '[[rules]]\nid = "lamps"\nkind = "units"\npoints = 50\nwhere = { sku = "LAMP-1" }\nfrom = 2026-11-01\n'
    + "until = 2026-12-01\nlimit = { per_purchase_points = 80 }\n"
    + '[[rules]]\nid = "party"\nkind = "flat"\npoints = 100\nlimit = { per_member = 1 }\n'
    + 'when = { birthday = "week", min_amount = 5000, day_of_month = 11, time = { from = "18:00" }, channel = "pos" }\n'
)
FACTS = Facts(
    occurred_at=datetime(2026, 11, 11, 12, 5, tzinfo=UTC),
    channel="pos",
    tier="silver",
    birthday=frozenset({"week"}),
)
BASKET = [
    PurchaseLine(sku="LAMP-1", amount=12990, quantity=2, line=1),
    PurchaseLine(sku="TOWEL", amount=1000, line=2),
]


def say(
    audience: Audience,
    language: str = "en",
    facts: Facts = FACTS,
    source: str = PROGRAM,
    basket: Any = BASKET,
) -> list[str]:
    program = parse(source).program
    assert program is not None
    award = compile_program(program).judge(basket, facts)
    return in_words(program, explain(award), facts, language, audience)


def test_the_member_reads_whole_sentences() -> None:
    assert say("member") == [
        "You earned 347 points.",
        "139.9 points: 1 point for every 1.00 CNY.",
        "80 points: 50 points for each unit, on certain goods, from 2026-11-01 to 2026-11-30.",
        "100 points were possible, 80 points given: that is the most for one purchase.",
        "27.98 points: 1.2 times the points, as a member of silver.",
        "100 points: a bonus, on 2026-11-11, at this time of day, in the week of your birthday, "
        "on purchases of 50.00 CNY or more, in the channel pos.",
        "Whole points count: 347.88 becomes 347 points.",
    ]


def test_staff_reads_rules_lines_and_limits() -> None:
    assert say("staff") == [
        "347 points earned, in tier silver.",
        "base: 139.9 points (1 point for every 1.00 CNY); line 1: 129.9, line 2: 10.",
        "lamps: 80 points (50 points for each unit, on certain goods, from 2026-11-01 to 2026-11-30); line 1: 80.",
        "lamps was limited by points for one purchase: 100 points wanted, 80 points given.",
        "silver-x1.2: 27.98 points (1.2 times the points, tier silver); line 1: 25.98, line 2: 2.",
        "party: 100 points (a bonus, on 2026-11-11, at 20:05, in the week of the member's birthday, "
        "purchase of 50.00 CNY or more, channel pos).",
        "Rounded (down) from 347.88 to 347 points.",
    ]


def test_chinese_is_a_file() -> None:
    assert say("member", "zh") == [
        "您本次获得 347 积分。",
        "139.9 积分：每消费 1.00 CNY 得 1 积分。",
        "80 积分：每件 50 积分，指定商品，2026-11-01 至 2026-11-30。",
        "原可得 100 积分，实得 80 积分：已达单次购物上限。",
        "27.98 积分：积分 1.2 倍，silver 等级会员。",
        "100 积分：奖励积分，2026-11-11 当日，当前时段，您的生日当周，购物满 50.00 CNY，pos 渠道。",
        "积分取整：347.88 计为 347 积分。",
    ]
    assert (
        say("staff", "zh")[1]
        == "base：139.9 积分（每消费 1.00 CNY 得 1 积分）；第 1 行：129.9，第 2 行：10。"
    )


def test_a_rule_that_gave_nothing_says_by_which_limit() -> None:
    facts = Facts(
        FACTS.occurred_at, "pos", "ordinary", birthday=FACTS.birthday, used={"party": Used(times=1)}
    )
    said = say("member", facts=facts)
    assert "100 points were possible, 0 points given: you have had this as often as it is given." in said
    assert not any(sentence.startswith("0 points") for sentence in said)


def test_one_point_no_points_thirds_and_points_that_pay() -> None:
    facts = Facts(FACTS.occurred_at, "pos", "ordinary")
    one = [PurchaseLine(sku="A", amount=100, line=1)]
    plain = HEAD + BASE
    assert say("member", facts=facts, source=plain, basket=one) == [
        "You earned 1 point.",
        "1 point: 1 point for every 1.00 CNY.",
    ]
    assert say("staff", facts=facts, source=plain, basket=[]) == ["No points earned, in tier ordinary."]
    thirds = plain.replace("= 100\n", "= 300\n")
    assert say("member", facts=facts, source=thirds, basket=one) == [
        "This purchase earned no points.",
        "0.33 points: 1 point for every 3.00 CNY.",
        "Whole points count: 0.33 becomes 0 points.",
    ]
    assert say("staff", facts=facts, source=thirds, basket=one)[-1] == "Rounded (down) from 1/3 to 0 points."
    paid = Facts(FACTS.occurred_at, "pos", "ordinary", redeemed_amount=50, basket_amount=200)
    two = [PurchaseLine(sku="A", amount=200, line=1)]
    assert say("member", facts=paid, source=plain, basket=two)[2:] == [
        "What you paid with points (0.50 CNY) earns none.",
        "Whole points count: 1.5 becomes 1 point.",
    ]
    assert "25 % of each line" in say("staff", facts=paid, source=plain, basket=two)[2]


def leaves(texts: dict[str, Any], path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in texts.items():
        found |= leaves(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return found


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_same_texts_with_the_same_names(language: str) -> None:
    english, other = leaves(_texts("en")), leaves(_texts(language))
    assert english.keys() == other.keys()
    optional = {"time", "date"}
    for key, text in other.items():
        names, wanted = (set(re.findall(r"{(\w+)}", one)) for one in (text, english[key]))
        assert names - optional == wanted - optional, key


def test_another_language_is_a_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Path(words.__file__).parent / "texts"
    shutil.copytree(ours, tmp_path / "texts")
    german = (ours / "en.toml").read_text("utf-8").replace("You earned {points}.", "Verdient: {points}.")
    (tmp_path / "texts" / "de.toml").write_text(german, "utf-8")
    monkeypatch.setattr(words, "files", lambda package: tmp_path)  # noqa: ARG005 (the library's signature)
    try:
        forget_texts()
        assert languages() == ("de", "en", "zh")
        assert say("member", "de")[0].startswith("Verdient: 347 ")
        assert say("member", "de")[1:] == say("member", "en")[1:]
    finally:
        forget_texts()


def forget_texts() -> None:
    languages.cache_clear()
    _texts.cache_clear()


def test_english_and_chinese_are_there() -> None:
    assert {"en", "zh"} <= set(languages())


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("audience", ["member", "staff"])
def test_every_condition_limit_and_rounding_has_its_words(language: str, audience: Audience) -> None:
    source = (
        HEAD.replace("CNY", "JPY")
        + '[points]\nrounding = "half_even"\n'
        + BASE.replace("= 100", "= 3")
        + "whole_steps = true\n"
        + "".join(
            f'[[rules]]\nid = "r{number}"\nkind = "flat"\npoints = 10.5\n{said}\n'
            for number, said in enumerate(
                [
                    'when = { birthday = "day" }',
                    'when = { birthday = "month", min_lines = 1 }',
                    'when = { first_purchase = true, store = "S" }',
                    "from = 2026-01-01",
                    "until = 2027-01-01",
                    "limit = { per_purchase_points = 1 }",
                    "limit = { per_member = 1 }",
                    "limit = { per_member_day = 1 }",
                    "limit = { per_member_points = 1 }",
                    "limit = { budget_points = 1 }",
                ]
            )
        )
    )
    used = {f"r{number}": Used(times=number == 6, times_day=number == 7) for number in range(10)}
    facts = Facts(
        FACTS.occurred_at, "pos", "ordinary", "S", 0, 0, True, frozenset({"day", "week", "month"}), used
    )
    said = say(audience, language, facts, source)
    assert len(said) == 1 + 1 + 8 + 5 + 1
    assert not any("{" in sentence or "_" in sentence or "None" in sentence for sentence in said)


@example(Fraction(3, 2), "half_even")
@example(Fraction(5, 2), "half_even")
@example(Fraction(5, 2), "half_up")
@given(
    st.fractions(min_value=0, max_value=10, max_denominator=12),
    st.sampled_from(["floor", "half_up", "half_even"]),
)
def test_the_total_is_rounded_as_the_judge_rounds(exact: Fraction, rounding: str) -> None:
    assert rounded(exact, rounding) == _rounded(rounding, exact.numerator, exact.denominator)
