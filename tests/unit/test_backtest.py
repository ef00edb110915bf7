"""The parts of a backtest that need no ledger: the order of merged histories, classes of gains, and charts."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from xml.etree import ElementTree as ET

import pytest

from loyalty.backtest.charts import Series, bars, lines, rows, sides
from loyalty.backtest.history import Event, Merging, weave
from loyalty.backtest.html import Axis
from loyalty.backtest.part import Part, size_class
from loyalty.backtest.reporting import bounds
from loyalty.engine.facts import MergeFacts, to_text

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(
    account: int,
    number: int,
    minute: int,
    kind: str = "purchase",
    side: Literal["", "out", "in", "hold"] = "",
    points: int = 0,
) -> Event:
    facts = to_text(MergeFacts(side, points)) if side else None
    at = NOON + timedelta(minutes=minute)
    return Event(account, number, kind, None, None, at, at, 1, facts)


def order(streams: dict[int, list[Event]]) -> list[tuple[int, int]]:
    """(account, number) of events in order; of merges, the accounts and 0."""
    return [
        (step.account, 0) if isinstance(step, Merging) else (step.account, step.number)
        for step in weave(streams)
    ]


def test_merged_histories_are_woven_in_the_order_of_recording() -> None:
    old = [event(1, 1, 0), event(1, 2, 5), event(1, 3, 9, "merge", "out", 7)]
    new = [event(2, 1, 2), event(2, 2, 9, "merge", "in", 7), event(2, 3, 20)]
    assert order({1: old, 2: new}) == [(1, 1), (2, 1), (1, 2), (1, 0), (2, 3)]


def test_a_merge_waits_for_all_before_it_on_both_sides_though_the_clock_stands() -> None:
    old = [event(2, 1, 0), event(2, 2, 0, "merge", "out", 3)]
    new = [
        event(1, 1, 0),
        event(1, 2, 0),
        event(1, 3, 0, "merge", "in", 3),
        event(1, 4, 0, "merge", "hold", 2),
    ]
    assert order({1: new, 2: old}) == [(1, 1), (1, 2), (2, 1), (2, 0), (1, 4)]


def test_merges_follow_one_another_into_one_account() -> None:
    first = [event(1, 1, 0), event(1, 2, 3, "merge", "out", 5)]
    second = [event(2, 1, 1), event(2, 2, 3, "merge", "in", 5), event(2, 3, 6, "merge", "out", 9)]
    third = [event(3, 1, 6, "merge", "in", 9), event(3, 2, 8)]
    assert order({1: first, 2: second, 3: third}) == [(1, 1), (2, 1), (1, 0), (2, 0), (3, 2)]


@pytest.mark.parametrize("gain", [-1000, -999, -10, -9, -1, 0, 1, 9, 10, 99, 100, 12345])
def test_a_gain_lies_within_the_bounds_of_its_class(gain: int) -> None:
    least, most = bounds(size_class(gain))
    assert least <= gain <= most


def test_parts_add_up() -> None:
    one, two = Part(), Part()
    one.now.moved["2026-01", "a", "earn"] += 5
    two.now.moved["2026-01", "a", "earn"] += 7
    one.matrix["a", "b"] += 1
    two.matrix["a", "b"] += 2
    one.add(two)
    assert one.now.moved["2026-01", "a", "earn"] == 12
    assert one.matrix["a", "b"] == 3


@pytest.mark.parametrize("values", [[0], [5, 0, 3], [-4, 10**12], [1] * 60])
def test_charts_are_well_formed_whatever_the_values(values: list[int]) -> None:
    names = [f"<{place}>&" for place in range(len(values))]
    series = (Series("a & b", "red", values), Series("c", "blue", values[::-1]))
    show = Axis(2)
    for chart in (
        bars(names, series, show),
        lines(names, series, show),
        rows(names, series, show),
        sides(names, [abs(value) for value in values], [-1] * len(values)),
    ):
        ET.fromstring(chart)
        assert "nan" not in chart


def test_an_axis_is_short() -> None:
    show = Axis(2)
    assert [show(value) for value in (0, 50, 125_000, -2_500_000_00, 10**13)] == [
        "0",
        "0.5",
        "1.25k",
        "-2.5m",
        "100bn",
    ]
