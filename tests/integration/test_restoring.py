"""Points given back live as long as they had, or for the grace, or not at all: never without end."""

from datetime import timedelta

import pytest

from loyalty.types import PurchaseRedemption, Reversal
from tests.builders import START, adjust, day, expiry, goods_back, open_ledger, program, purchase, redeem

DAY = timedelta(days=1)


@pytest.mark.parametrize("by", ["reversal", "return"])
async def test_points_go_back_with_the_expiry_they_had(database_url: str, by: str) -> None:
    async with open_ledger(
        database_url, program(expiry(days=10) + "\nrestore_grace_days = 5"), "ada"
    ) as ledger:
        await ledger.do(adjust(50, expires_at=START + 3 * DAY))
        await ledger.do(adjust(50, expires_at=START + 10 * DAY))
        await ledger.do(purchase(10000, START, id="p", pay=PurchaseRedemption("r", points=100)))
        later = await ledger.move_clock(START + 2 * DAY)
        await ledger.do(Reversal("r") if by == "reversal" else goods_back("p", later))
        lots = await ledger.lots()
        assert lots[0] == (50, START + 3 * DAY)
        assert sum(points for points, end in lots if end == START + 10 * DAY) == (
            149 if by == "reversal" else 50
        )


@pytest.mark.parametrize("by", ["reversal", "return"])
@pytest.mark.parametrize("grace", [0, 5])
async def test_points_whose_life_has_passed_live_for_the_grace_or_expire_at_once(
    database_url: str, by: str, grace: int
) -> None:
    async with open_ledger(database_url, program(f"restore_grace_days = {grace}"), "ada") as ledger:
        for points in (20, 30):
            await ledger.do(adjust(points, expires_at=START + DAY))
        await ledger.do(purchase(50, START, id="p", pay=PurchaseRedemption("r", points=50)))
        later = await ledger.move_clock(START + 2 * DAY)
        await ledger.do(Reversal("r") if by == "reversal" else goods_back("p", later))
        entries = (await ledger.entries())[3:]
        if grace:
            assert entries == [("restore", 50)]
            ends = {end - later for _, end in await ledger.lots() if end}
            assert len(ends) == 1
            assert all(5 * DAY <= end < 5 * DAY + timedelta(minutes=1) for end in ends)
            await ledger.move_clock(later + 6 * DAY)
        else:
            assert entries == [("restore", 50), ("expire", -50)]
        assert await ledger.points() == (0, 0, 0, 0)


async def test_restored_points_repay_debt_before_they_die(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(50, expires_at=START + DAY))
        await ledger.do(purchase(3000, START, id="p"))
        await ledger.do(redeem(50, id="r"))
        await ledger.do(redeem(30, id="s"))
        await ledger.do(goods_back("p", START))
        assert await ledger.points() == (0, 0, 0, 30)
        await ledger.move_clock(START + 2 * DAY)
        await ledger.do(Reversal("r"))
        assert await ledger.points() == (0, 0, 0, 0)
        assert (await ledger.entries())[-2:] == [("restore", 50), ("expire", -20)]


async def test_points_restored_twice_keep_their_first_life(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry(days=30)), "ada") as ledger:
        await ledger.do(purchase(5000, START))
        for turn in range(3):
            await ledger.move_clock(START + (turn + 1) * DAY)
            await ledger.do(redeem(50, id=f"r{turn}"))
            await ledger.do(Reversal(f"r{turn}"))
        assert await ledger.lots() == [(50, START + 30 * DAY)]
        assert await ledger.value("select count(distinct origin) from lot") == 1


async def test_points_without_an_end_come_back_without_one(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry("never")), "ada") as ledger:
        await ledger.do(purchase(5000, START))
        await ledger.do(redeem(50, id="r"))
        await ledger.move_clock(START + 2000 * DAY)
        await ledger.do(Reversal("r"))
        assert await ledger.lots() == [(50, None)]


@pytest.mark.parametrize("grace", [0, 5])
async def test_idle_points_come_back_idle_or_as_dead_as_the_account(database_url: str, grace: int) -> None:
    source = program(expiry("inactivity", months=1) + f"\nrestore_grace_days = {grace}")
    async with open_ledger(database_url, source, "ada") as ledger:
        await ledger.do(purchase(5000, day(2026, 3, 1, 12)))
        await ledger.do(redeem(20, id="r"))
        await ledger.move_clock(day(2026, 3, 20))
        await ledger.do(Reversal("r", 10, "v"))
        (lots,) = [await ledger.lots()]
        assert sum(points for points, _ in lots) == 40
        assert {end.date() for _, end in lots if end} == {
            day(2026, 4, 2, 12).date()
        }  # from the redemption on
        later = await ledger.move_clock(day(2026, 5, 1))
        assert await ledger.available() == 0
        await ledger.do(Reversal("r"))
        assert await ledger.available() == (10 if grace else 0)
        await ledger.move_clock(later + 6 * DAY)
        assert await ledger.points() == (0, 0, 0, 0)
