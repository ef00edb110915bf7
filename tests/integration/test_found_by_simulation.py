"""Defects that the simulation found, each in the smallest form that showed it."""

from datetime import timedelta

from loyalty.types import PurchaseRedemption, Reversal, UnlinkedReturn
from tests.builders import START, adjust, expiry, line, open_ledger, program, purchase


async def test_an_unlinked_return_takes_points_in_the_order_of_spending(database_url: str) -> None:
    """Adjusted points have no purchase, as the return has none: they were taken for the return's own, and last."""
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.do(adjust(60, expires_at=START + timedelta(days=30)))
        await ledger.do(UnlinkedReturn("t", "ada", START, (line(5000),)))
        assert await ledger.lots() == [(10, START + timedelta(days=30)), (100, None)]


async def test_idle_points_dead_on_arrival_show_their_end(database_url: str) -> None:
    async with open_ledger(database_url, program(expiry("inactivity", days=20)), "ada") as ledger:
        receipt = await ledger.do(purchase(10000, START - timedelta(days=50)))
        assert (receipt.balance.balance, len(receipt.lots)) == (0, 1)
        assert receipt.lots[0].expires_at == "2026-01-31T04:00:00Z"


async def test_a_reversal_of_what_paid_for_a_purchase_gives_each_lot_back_what_was_used_of_it(
    database_url: str,
) -> None:
    """The redemption was found twice, by its id and by its purchase's, and its lots counted twice."""
    in_june = START + timedelta(days=100)
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(purchase(10000))
        await ledger.do(adjust(40, expires_at=in_june))
        await ledger.do(purchase(10000, pay=PurchaseRedemption("x", points=60), id="p"))
        await ledger.do(Reversal("x", 30, "v"))
        assert await ledger.lots() == [(10, in_june), (100, None), (99, None)]
