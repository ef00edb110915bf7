"""What can be rebuilt, held against what stands there: an account's head, its open lots and its open holds."""

from collections.abc import Iterable

from loyalty.audit.books import Books, Report
from loyalty.audit.bounds import Qualifying, check_bounds
from loyalty.audit.rows import Head, Lot, OpenHold, OpenLot, shown

_TIER = {
    "tier": "tier",
    "tier_since": "since",
    "tier_valid_until": "valid_until",
    "tier_verdict_at": "verdict_at",
    "tier_ground_at": "ground_at",
}
"""Columns of the head, and of the change of tier that they come from."""


def check_projections(
    books: Books,
    head: Head | None,
    open_lots: Iterable[OpenLot],
    open_holds: Iterable[OpenHold],
    inherited: Iterable[Qualifying],
    report: Report,
) -> None:
    """Reports every projected row of an account that its books do not lead to.

    inherited: what counts for its tier and was posted on accounts that were merged into it.
    """
    left = [lot for number, lot in books.lots.items() if books.left[number] > 0]
    _open_lots(books, left, open_lots, report)
    _open_holds(books, open_holds, report)
    if head is None:
        report("account", "", "is not there, though rows name it")
        return
    if _head(books, head, report) and head.balance != sum(books.left.values()) + head.held - head.debt:
        report("account", "", "balance is not available + held + pending - debt")
    check_bounds(books, left, head, inherited, report)


def _open_lots(books: Books, left: Iterable[Lot], open_lots: Iterable[OpenLot], report: Report) -> None:
    there = {lot.lot: lot for lot in open_lots}
    for lot in left:
        must = OpenLot(
            lot.account, lot.lot, lot.origin, books.left[lot.lot], lot.earned_at, lot.spendable_from, lot.idle,
            lot.expires_at, lot.purchase_id,
        )  # fmt: skip
        found = there.pop(lot.lot, None)
        if found is None:
            report("open_lot", f"lot={lot.lot}", f"is missing; {must.remaining} points of the lot are left")
        elif found != must:
            report("open_lot", f"lot={lot.lot}", _differs(found, must))
    for number in there:
        report("open_lot", f"lot={number}", "is there, but nothing of the lot is left")


def _open_holds(books: Books, open_holds: Iterable[OpenHold], report: Report) -> None:
    there = {hold.redemption_id: hold for hold in open_holds}
    for id, taken in books.holds.items():
        key, found = f"redemption_id={id}", there.pop(id, None)
        if found is None:
            report("open_hold", key, f"is missing; posting {taken.posting} holds {taken.points} points")
            continue
        until = found.until if taken.until is None else taken.until
        must = OpenHold(found.account, taken.posting, taken.points, until, id)
        if found != must:
            report("open_hold", key, _differs(found, must))
    for id in there:
        report("open_hold", f"redemption_id={id}", "is there, but no such hold is open")


def _head(books: Books, head: Head, report: Report) -> bool:
    must: dict[str, object] = {
        "number": books.number,
        "seq": books.seq,
        "lots": books.lot_count,
        "balance": books.or_balance if head.balance == books.or_balance else books.balance,
        "held": books.held,
        "debt": books.debt,
        "hash": books.last_hash,
        "tier_judged_at": books.judged_at,
        "active_at": books.active_at,
    }
    for name, of_change in _TIER.items():
        must[name] = None if books.tier is None else getattr(books.tier, of_change)
    if head.status == "merged":
        del must["tier_verdict_at"]  # nothing is due on it any more
    if books.recorded_at is not None:
        must["recorded_at"] = books.recorded_at
    if not books.merged:
        must["purchases"] = min(max(head.purchases, books.purchases - len(books.returned)), books.purchases)
    wrong = [
        f"{name} is {shown(name, getattr(head, name))}, must be {shown(name, value)}"
        for name, value in must.items()
        if getattr(head, name) != value
    ]
    if wrong:
        report("account", "", ", ".join(wrong))
    return not wrong


def _differs(found: OpenLot | OpenHold, must: OpenLot | OpenHold) -> str:
    return ", ".join(
        f"{name} is {shown(name, is_there)}, must be {shown(name, value)}"
        for name, is_there, value in zip(found._fields, found, must, strict=True)
        if is_there != value
    )
