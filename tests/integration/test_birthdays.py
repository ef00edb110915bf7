"""The first award of a year pins that year's birthday: whoever edits it gets the next year's by the new date."""

from datetime import date, timedelta
from typing import Any

from loyalty.members.directory import change
from loyalty.members.rotate import rotate
from loyalty.members.vault import Vault
from loyalty.types import MemberChange
from tests.builders import BASE, Ledger, day, event, open_ledger, program, purchase
from tests.vault import SECRET, VAULT

GIFT = '[[rules]]\nid = "gift"\nkind = "flat"\npoints = 50\nwhen = { birthday = "day" }\n'
TREAT = '[[rules]]\nid = "treat"\nkind = "event"\npoints = 9\ntype = "visit"\nwhen = { birthday = "week" }\n'
SOURCE = program(rules=BASE + GIFT + TREAT)


async def edit(ledger: Ledger, birthday: date | None, member: str = "ada") -> None:
    await change(
        ledger.engine.pool, VAULT, member, MemberChange(birthday=birthday), await ledger.engine.now()
    )


async def gift(ledger: Ledger, month: int, number: int, member: str = "ada", year: int = 2026) -> bool:
    """Whether a purchase at noon of that day got the gift."""
    at = day(year, month, number, 12)
    if await ledger.engine.now() < at:
        await ledger.move_clock(at)
    receipt: Any = await ledger.do(purchase(at=at, member=member))
    return any(row.rule == "gift" for row in receipt.explain)


async def test_an_edit_after_the_award_counts_from_the_next_year(database_url: str) -> None:
    async with open_ledger(database_url, SOURCE) as ledger:
        await ledger.enrol("ada", birthday=date(1990, 4, 10))
        assert await gift(ledger, 4, 10)
        await edit(ledger, date(1990, 6, 1))
        assert not await gift(ledger, 6, 1)
        assert await gift(ledger, 4, 10)  # once more, late: the year's birthday stays
        assert not await gift(ledger, 4, 10, year=2027)
        assert await gift(ledger, 6, 1, year=2027)
        await edit(ledger, None)
        assert not await gift(ledger, 6, 1, year=2028)


async def test_an_edit_before_any_award_counts_at_once(database_url: str) -> None:
    async with open_ledger(database_url, SOURCE) as ledger:
        await ledger.enrol("ada", birthday=date(1990, 4, 10))
        assert not await gift(ledger, 4, 9)
        await edit(ledger, date(1990, 4, 11))
        assert not await gift(ledger, 4, 10)
        assert await gift(ledger, 4, 11)


async def test_an_event_pins_too_and_a_week_pins_the_year_of_its_birthday(database_url: str) -> None:
    async with open_ledger(database_url, SOURCE) as ledger:
        await ledger.enrol("ada", birthday=date(1990, 1, 2))
        await ledger.move_clock(day(2026, 12, 30, 12))  # the week of 2 January 2027
        assert (await ledger.do(event("visit", day(2026, 12, 30, 12)))).points_earned == 9
        await edit(ledger, date(1990, 3, 3))
        assert await gift(ledger, 1, 2, year=2027)
        assert not await gift(ledger, 3, 3, year=2027)
        assert await gift(ledger, 3, 3, year=2028)


async def test_pins_follow_a_merge_and_go_with_an_erasure(database_url: str) -> None:
    async with open_ledger(database_url, SOURCE) as ledger:
        await ledger.enrol("ada", birthday=date(1990, 4, 10))
        await ledger.enrol("bob", birthday=date(1990, 6, 1))
        assert await gift(ledger, 4, 10)
        await ledger.engine.merge("ada", "bob")
        assert not await gift(ledger, 6, 1, "bob")
        assert await gift(ledger, 6, 1, "bob", 2027)
        await ledger.engine.erase("bob")
        assert await ledger.value("select count(*) from birthday_pin") == 0


async def test_two_awards_in_one_upload_pin_once(database_url: str) -> None:
    async with open_ledger(database_url, SOURCE) as ledger:
        await ledger.enrol("ada", birthday=date(1990, 4, 10))
        at = day(2026, 4, 10, 12)
        await ledger.move_clock(at)
        told = await ledger.all(purchase(at=at), purchase(at=at - timedelta(hours=1)), event("visit", at))
        assert [one.points_earned for one in told] == [150, 150, 9]
        assert await ledger.value("select count(*) from birthday_pin") == 1


async def test_pins_are_sealed_anew_with_the_rest(database_url: str) -> None:
    new = bytes(range(1, 33))
    async with open_ledger(database_url, SOURCE) as ledger:
        await ledger.enrol("ada", birthday=date(1990, 4, 10))
        assert await gift(ledger, 4, 10)
        await rotate(database_url, Vault([new, SECRET]))
        sealed = await ledger.fetch("select birthday from birthday_pin")
        assert [Vault([new]).open_date(row["birthday"]) for row in sealed] == [date(1990, 4, 10)]
        assert not await ledger.value("select exists (select from person where birthday is null)")
