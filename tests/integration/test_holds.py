"""Holds: captured in part or whole, released, timed out without a job, expiring while held, paying for a purchase."""

from datetime import timedelta

import pytest

from loyalty.errors import (
    HoldEnded,
    IdConflict,
    InsufficientPoints,
    MemberBlocked,
    RedemptionNotAllowed,
    UnknownRedemption,
)
from loyalty.types import Capture, PurchaseRedemption, Release, Request, Reversal
from tests.builders import START, adjust, expiry, goods_back, hold, open_ledger, program, purchase, redeem

SOON = START + timedelta(days=1)
FAR = START + timedelta(days=90)


async def test_capture_of_a_part_releases_the_rest_last_used_first(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(60, expires_at=SOON))
        await ledger.do(adjust(60, expires_at=FAR))
        held = await ledger.do(hold(100, id="h"))
        assert (held.status, held.points, held.amount) == ("held", 100, 100)
        captured = await ledger.do(Capture("h", 70))
        assert (captured.status, captured.points, captured.amount) == ("captured", 70, 70)
        assert await ledger.lots() == [(50, FAR)]
        assert await ledger.entries() == [("adjust", 60), ("adjust", 60), ("redeem", -70)]


async def test_the_same_ending_again_is_answered_alike_and_another_is_refused(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(100))
        endings: list[tuple[str, Request, list[Request]]] = [
            ("a", Capture("a"), [Release("a"), Capture("a", 5)]),
            ("b", Capture("b", 5), [Capture("b"), Capture("b", 6), Release("b")]),
            ("c", Release("c"), [Capture("c"), Capture("c", 5)]),
        ]
        for id, ending, others in endings:
            await ledger.do(hold(10, id=id))
            first, again = await ledger.do(ending), await ledger.do(ending)
            assert (again.replayed, again.body) == (True, first.body)
            for other in others:
                await ledger.refused(other, HoldEnded)


async def test_more_than_is_held_is_not_captured(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(100))
        await ledger.do(hold(10, id="h"))
        await ledger.refused(Capture("h", 11), InsufficientPoints)
        await ledger.refused(Capture("nobody"), UnknownRedemption)
        await ledger.do(redeem(10, id="r"))
        await ledger.refused(Capture("r"), HoldEnded)
        await ledger.refused(Release("r"), HoldEnded)


async def test_held_points_outlive_their_expiry_for_the_capture(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(60, expires_at=SOON))
        await ledger.do(hold(50, id="h", seconds=3 * 86400))
        await ledger.move_clock(SOON)
        assert await ledger.points() == (0, 50, 0, 0)
        await ledger.do(Capture("h"))
        assert await ledger.entries() == [("adjust", 60), ("expire", -10), ("redeem", -50)]


@pytest.mark.parametrize("grace", [0, 5])
@pytest.mark.parametrize("ending", ["release", "capture", "timeout"])
async def test_released_points_that_expired_while_held_die_at_once_or_live_for_the_grace(
    database_url: str, ending: str, grace: int
) -> None:
    async with open_ledger(database_url, program(f"restore_grace_days = {grace}"), "ada") as ledger:
        await ledger.do(adjust(30, expires_at=SOON))
        await ledger.do(adjust(30, expires_at=SOON))
        await ledger.do(hold(60, id="h", seconds=2 * 86400))
        await ledger.move_clock(SOON + timedelta(hours=1))
        if ending == "timeout":
            await ledger.move_clock(START + timedelta(days=2, seconds=5))
            await ledger.engine.expire()
        else:
            await ledger.do(Release("h") if ending == "release" else Capture("h", 10))
        given_back = 50 if ending == "capture" else 60
        assert await ledger.available() == (given_back if grace else 0)
        expired = [points for kind, points in await ledger.entries() if kind == "expire"]
        assert expired == ([] if grace else [-given_back])  # one entry, though two lots died
        ended_at = await ledger.value(
            "select max(occurred_at) from posting where kind in ('release', 'capture', 'timeout')"
        )
        if grace:
            assert {end for _, end in await ledger.lots()} == {ended_at + timedelta(days=grace)}


async def test_a_time_out_gives_back_at_its_own_instant_whenever_it_is_found(database_url: str) -> None:
    """An expired hold was still counted elsewhere (tigerbeetle#2118)."""
    async with open_ledger(database_url, program("restore_grace_days = 5"), "ada", "bob") as ledger:
        for member in ("ada", "bob"):
            await ledger.do(adjust(30, member, expires_at=SOON))
            await ledger.do(hold(30, member, f"h-{member}", 2 * 86400))
        await ledger.move_clock(START + timedelta(days=3))
        await ledger.do(redeem(1, "ada"))
        await ledger.move_clock(START + timedelta(days=8))  # bob's grace has passed before anybody looked
        assert await ledger.points("bob") == (0, 0, 0, 0)
        await ledger.engine.expire()
        kinds = [[kind for kind, _ in await ledger.entries(member)] for member in ("ada", "bob")]
        assert kinds == [["adjust", "redeem", "expire"], ["adjust", "expire"]]


async def test_a_time_out_before_the_expiry_leaves_the_life_as_it_was(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(30, expires_at=FAR))
        await ledger.do(hold(20, id="h", seconds=60))
        await ledger.move_clock(START + timedelta(minutes=5))
        assert await ledger.lots() == [(30, FAR)]
        await ledger.refused(Release("h"), HoldEnded)
        record = await ledger.redemption("h")
        assert (record.status, record.points) == ("timed_out", 20)


async def test_a_purchase_captures_the_hold_that_pays_for_it_in_one_transaction(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(adjust(1000))
        await ledger.do(hold(600, id="h"))
        receipt = await ledger.do(purchase(10000, id="p", pay=PurchaseRedemption("h", points=500)))
        assert (receipt.points_redeemed, receipt.points_earned) == (500, 95)
        assert await ledger.points() == (595, 0, 0, 0)
        await ledger.refused(Release("h"), HoldEnded)
        await ledger.refused(purchase(10000, pay=PurchaseRedemption("h")), HoldEnded)
        assert (await ledger.redemption("h")).purchase_id == "p"
        await ledger.do(goods_back("p"))
        assert await ledger.points() == (1000, 0, 0, 0)


async def test_a_purchase_that_is_refused_leaves_its_hold_open(database_url: str) -> None:
    source = program(redemption="points = 1\namount = 1\nmax_basket_share = 0.5")
    async with open_ledger(database_url, source, "ada", "bob") as ledger:
        await ledger.do(adjust(1000))
        await ledger.do(hold(600, id="h"))
        pay = PurchaseRedemption("h")
        await ledger.refused(purchase(1000, pay=pay), RedemptionNotAllowed)  # more than half of the basket
        await ledger.refused(purchase(100000, pay=PurchaseRedemption("h", points=700)), InsufficientPoints)
        await ledger.refused(purchase(100000, member="bob", pay=pay), IdConflict)
        await ledger.do(purchase(100000, pay=pay))


async def test_a_redemption_inside_a_purchase_cannot_be_made_again(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(adjust(1000))
        await ledger.do(purchase(10000, id="p", pay=PurchaseRedemption("r", points=500)))
        await ledger.refused(redeem(500, id="r"), IdConflict)
        await ledger.refused(redeem(500, "bob", id="r"), IdConflict)
        await ledger.refused(purchase(10000, pay=PurchaseRedemption("r", points=500)), IdConflict)
        assert (await ledger.do(purchase(10000, id="p", pay=PurchaseRedemption("r", points=500)))).replayed


async def test_one_upload_may_hold_pay_return_and_reverse(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        outcomes = await ledger.all(
            adjust(1000),
            hold(600, id="h"),
            purchase(10000, id="p", pay=PurchaseRedemption("h")),
            Capture("h"),
            goods_back("p", START),
            Reversal("h"),
            redeem(10, id="r"),
            Reversal("r", 4, "v"),
            Reversal("r"),
        )
        codes = [getattr(outcome, "code", None) for outcome in outcomes]
        assert codes == [None] * 5 + ["insufficient-points"] + [None] * 3
        assert await ledger.points() == (1000, 0, 0, 0)


async def test_a_reversal_gives_back_what_was_captured_and_no_more(database_url: str) -> None:
    """Two commits of one hold (blnk#171), a refund twice after a retry (blnk#315, odoo#212922)."""
    async with open_ledger(database_url, program(expiry(days=90)), "ada") as ledger:
        await ledger.do(adjust(100))
        await ledger.do(hold(100, id="h"))
        await ledger.refused(Reversal("h"), HoldEnded)
        await ledger.do(Capture("h", 60))
        assert (await ledger.do(Reversal("h", 20, "v1"))).status == "captured"
        assert (await ledger.do(Reversal("h", 20, "v1"))).replayed
        await ledger.refused(Reversal("h", 41, "v2"), InsufficientPoints)
        last = await ledger.do(Reversal("h"))
        assert (last.status, last.points, last.amount) == ("reversed", 40, 40)
        assert (await ledger.do(Reversal("h"))).replayed
        await ledger.refused(Reversal("h", 1, "v3"), InsufficientPoints)
        assert await ledger.points() == (100, 0, 0, 0)


async def test_parts_given_back_add_up_to_what_the_whole_was_worth(database_url: str) -> None:
    async with open_ledger(database_url, program(redemption="points = 3\namount = 1"), "ada") as ledger:
        await ledger.do(adjust(300))
        assert (await ledger.do(redeem(300, id="r"))).amount == 100
        worth = [(await ledger.do(Reversal("r", 100, f"v{part}"))).amount for part in range(3)]
        assert worth == [33, 33, 34]


async def test_of_two_holds_the_one_whose_time_is_over_ends(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(100))
        await ledger.do(hold(30, id="a", seconds=3600))
        await ledger.do(hold(20, id="b", seconds=60))
        await ledger.move_clock(timedelta(minutes=30))
        await ledger.do(adjust(1))
        statuses = [(await ledger.redemption(id)).status for id in ("a", "b")]
        assert statuses == ["held", "timed_out"]
        assert await ledger.available() == 71


async def test_a_blocked_member_earns_and_returns_but_does_not_redeem(database_url: str) -> None:
    async with open_ledger(database_url, program(), "ada") as ledger:
        await ledger.do(adjust(100))
        await ledger.fetch("update account set status = 'blocked'")
        await ledger.refused(redeem(10), MemberBlocked)
        await ledger.refused(hold(10), MemberBlocked)
        await ledger.refused(purchase(10000, pay=PurchaseRedemption("r", points=1)), MemberBlocked)
        await ledger.do(purchase(10000, id="p"))
        await ledger.do(goods_back("p"))
