"""What is foreseen of a tier is what its verdict gives, and what is said to be needed is just enough."""

from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from loyalty.calendar import just_before
from loyalty.program.model import Program
from loyalty.tiers.assess import given as brought
from loyalty.tiers.assess import verdict
from loyalty.tiers.history import standing_after
from loyalty.tiers.model import Qualifying, Standing
from loyalty.tiers.outlook import Outlook, outlook
from loyalty.tiers.window import rank
from tests.property.test_tiers_props import CALENDAR, START, programs, rows

lives = st.lists(rows, max_size=12)


def standing_in(program: Program, place: int) -> Standing:
    tier = program.tiers[min(place, len(program.tiers) - 1)].id
    return standing_after(program, None, brought(program, CALENDAR, tier, START))


@given(programs, st.integers(0, 3), lives)
def test_the_outlook_is_the_verdict(program: Program, place: int, life: list[Qualifying]) -> None:
    standing = standing_in(program, place)
    coming = outlook(program, CALENDAR, standing, life)
    if standing.verdict_at is None:
        assert coming is None
        return
    assert coming is not None
    assert coming.change == verdict(program, CALENDAR, standing, life)
    falls = rank(program, coming.change.tier) < rank(program, standing.tier)
    assert falls == (coming.needed is not None) == (coming.change.reason == "review")


def kept(program: Program, standing: Standing, life: list[Qualifying], more: list[Qualifying]) -> bool:
    return verdict(program, CALENDAR, standing, [*life, *more]).tier == standing.tier


def on_days_without(coming: Outlook, life: list[Qualifying], count: int) -> list[Qualifying]:
    """One unit on each of so many days of the window without a purchase, from its end backwards."""
    taken = {CALENDAR.day(row.at) for row in life if row.amount}
    at = just_before(coming.until)
    found: list[Qualifying] = []
    while len(found) < count and at >= coming.found.from_:
        if CALENDAR.day(at) not in taken:
            found.append(Qualifying(at, 1))
            taken.add(CALENDAR.day(at))
        at -= timedelta(hours=12)
    assume(len(found) == count)
    return found


@given(programs, st.integers(1, 3), lives)
def test_what_is_needed_is_enough_and_less_is_not(
    program: Program, place: int, life: list[Qualifying]
) -> None:
    standing = standing_in(program, place)
    coming = outlook(program, CALENDAR, standing, life)
    assume(coming is not None and coming.needed is not None)
    assert coming is not None
    assert coming.needed is not None
    needed, last = coming.needed, just_before(coming.until)
    qualify = program.tiers[rank(program, standing.tier)].qualify
    assert qualify is not None
    visits = on_days_without(coming, life, needed.visits or 0)
    spend = needed.spend_amount or 0
    if needed.need == "any":
        if needed.spend_amount is not None:
            assert kept(program, standing, life, [Qualifying(last, spend)])
        if needed.visits is not None:
            assert kept(program, standing, life, visits)
        return
    bought = [*visits, Qualifying(visits[0].at if visits else last, max(spend - len(visits), 0))]
    assume(needed.spend_amount is not None or needed.visits is not None)
    assert kept(program, standing, life, bought)
    higher = program.tiers[rank(program, standing.tier) + 1 :]
    if spend > len(visits) and not higher:
        short = [*visits, Qualifying(bought[-1].at, spend - len(visits) - 1)]
        assert not kept(program, standing, life, short)
