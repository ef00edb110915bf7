"""docs/PROGRAMS.md: each example is a sound program, and what stands under it is true."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loyalty.calendar import calendar_of
from loyalty.program.model import Program
from loyalty.program.parse import parse
from loyalty.rules.compile import compile_program
from loyalty.rules.facts import Facts
from loyalty.rules.pricing import Pricing, discounted
from loyalty.rules.redeem import max_points
from loyalty.tiers.assess import enrolment, promotions, verdict
from loyalty.tiers.history import standing_of, tier_at
from loyalty.tiers.model import Change, Qualifying, Standing
from loyalty.types import PurchaseLine

PAGE = (Path(__file__).parents[2] / "docs" / "PROGRAMS.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"```toml\n(.*?)```(.*?)(?=```toml|\Z)", re.DOTALL)
EARNS = re.compile(r"^- (.+) earns (\d+) points\.$", re.MULTILINE)
COSTS = re.compile(r"^- (.+) costs (\d+)\.(\d\d)\.$", re.MULTILINE)
LINE = re.compile(r"(\d+)\.(\d\d)(?: reduced to (\d+)\.(\d\d))?(?: of (\S+))?")
REDEEMS = re.compile(
    r"^- With (\d+) points, at most (\d+) may be redeemed on (\d+)\.(\d\d) x 2\.$", re.MULTILINE
)

STANDS = re.compile(r"^- Who buys (.+) is (\w+) on (\d{4}-\d\d-\d\d)\.$", re.MULTILINE)
BUYS = re.compile(r"([\d,]+)\.(\d\d) on (\d{4}-\d\d-\d\d)")


def examples() -> list[tuple[str, str]]:
    return EXAMPLE.findall(PAGE)


def program_of(source: str) -> Program:
    parsed = parse(source)
    assert parsed.diagnostics == []
    assert parsed.program is not None
    return parsed.program


def claims() -> list[Any]:
    return [
        pytest.param(source, words, int(points), id=f"{words} earns {points}")
        for source, prose in examples()
        for words, points in EARNS.findall(prose)
    ]


def test_the_page_has_examples_with_outcomes() -> None:
    assert len(examples()) == 7
    assert all(EARNS.search(prose) for _, prose in examples())


@pytest.mark.parametrize(("source", "words", "points"), claims())
def test_each_outcome_is_true(source: str, words: str, points: int) -> None:
    basket, facts = said(words)
    judge = compile_program(program_of(source))
    event = re.match(r"An event (\S+)", words)
    award = judge.judge_event(event[1], facts) if event else judge.judge(basket, facts)
    assert award.points == points


def test_each_price_is_true() -> None:
    found = [(program_of(source), claim) for source, prose in examples() for claim in COSTS.findall(prose)]
    assert len(found) == 8
    for program, (words, whole, cents) in found:
        basket, facts = said(words)
        discounts = Pricing(program).discounts(basket, facts)
        assert sum(line.amount for line in discounted(basket, discounts)) == int(whole + cents), words


def said(words: str) -> tuple[list[PurchaseLine], Facts]:
    """The basket and the facts that a sentence tells of."""
    on = re.search(r" on (\d{4}-\d\d-\d\d)", words)
    at = re.search(r" at (\d\d:\d\d)", words)
    tier = re.search(r" as (\w+)", words)
    local = f"{on[1] if on else '2026-06-10'}T{at[1] if at else '12:00'}"
    shanghai_offset = timedelta(hours=8)
    facts = Facts(
        occurred_at=datetime.fromisoformat(local).replace(tzinfo=UTC) - shanghai_offset,
        channel="pos",
        tier=tier[1] if tier else "ordinary",
    )
    basket = [
        PurchaseLine(
            sku=of or "TABLE",
            category=of or None,
            amount=int(now + its_cents or whole + cents),
            list_amount=int(whole + cents),
            line=number,
        )
        for number, (whole, cents, now, its_cents, of) in enumerate(LINE.findall(words), start=1)
    ]
    return basket, facts


def test_each_redemption_is_true() -> None:
    found = [(program_of(source), claim) for source, prose in examples() for claim in REDEEMS.findall(prose)]
    assert len(found) == 2
    for program, (available, most, whole, cents) in found:
        assert max_points(program.redemption, int(available), 2 * int(whole + cents)) == int(most)


def test_each_rise_and_fall_is_true() -> None:
    found = [(program_of(source), claim) for source, prose in examples() for claim in STANDS.findall(prose)]
    assert len(found) == 9
    for program, (bought, tier, day) in found:
        rows = [
            Qualifying(noon(on), int(whole.replace(",", "") + cents))
            for whole, cents, on in BUYS.findall(bought)
        ]
        assert tier_on(program, rows, noon(day)) == tier, (bought, day)


def noon(day: str) -> datetime:
    """Noon of Shanghai."""
    return datetime.fromisoformat(f"{day}T04:00").replace(tzinfo=UTC)


def tier_on(program: Program, rows: list[Qualifying], at: datetime) -> str:
    """The tier of who bought this, at an instant by which all of it is recorded."""
    calendar = calendar_of(program.time_zone)
    history = [enrolment(program, rows[0].at)]
    for row in [*rows, None]:
        now, known = row.at if row else at, [one for one in rows if row is None or one.at <= row.at]
        while (due := standing(program, history)).verdict_at is not None and due.verdict_at <= now:
            history.append(verdict(program, calendar, due, known))
        if row is not None:
            history += promotions(program, calendar, due, known, row.at, history)
    return tier_at(program, history, at)


def standing(program: Program, history: list[Change]) -> Standing:
    found = standing_of(program, history)
    assert found is not None
    return found
