"""What can be rebuilt, held against what stands there: an account's head, its open lots and its open holds."""

from collections.abc import Iterable

from loyalty.audit.books import Books, Report
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
    report: Report,
) -> None:
    """Reports every projected row of an account that its books do not lead to."""
    left = [lot for number, lot in books.lots.items() if books.left[number] > 0]
    _open_lots(books, left, open_lots, report)
    _open_holds(books, open_holds, report)
    if head is None:
        report("account", "", "is not there, though rows name it")
        return
    if _head(books, head, report) and head.balance != sum(books.left.values()) + head.held - head.debt:
        report("account", "", "balance is not available + held + pending - debt")
    _bounds(books, left, head, report)


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
    }
    for name, of_change in _TIER.items():
        must[name] = None if books.tier is None else getattr(books.tier, of_change)
    if head.status == "merged":
        del must["tier_verdict_at"]  # nothing is due on it any more
    if books.recorded_at is not None:
        must["recorded_at"] = books.recorded_at
    if not books.merged:
        must["active_at"] = books.active_at
        must["purchases"] = min(max(head.purchases, books.purchases - len(books.returned)), books.purchases)
    wrong = [
        f"{name} is {shown(name, getattr(head, name))}, must be {shown(name, value)}"
        for name, value in must.items()
        if getattr(head, name) != value
    ]
    if wrong:
        report("account", "", ", ".join(wrong))
    return not wrong


def _bounds(books: Books, left: Iterable[Lot], head: Head, report: Report) -> None:
    """What may be early, never late."""
    due = [hold.until for hold in books.holds.values() if hold.until is not None]
    due += [lot.expires_at for lot in left if lot.expires_at is not None]
    if head.tier_verdict_at is not None:
        due.append(head.tier_verdict_at)
    if due and (head.due_at is None or head.due_at > min(due)):
        found, first = shown("due_at", head.due_at), shown("due_at", min(due))
        report("account", "", f"due_at is {found}, but the first thing is due {first}")
    elif head.due_at is None and any(lot.idle for lot in left):
        report("account", "", "due_at is empty, but idle points will be due")
    pending = [lot.spendable_from for lot in left if lot.spendable_from > head.recorded_at]
    if pending and (head.pending_until is None or head.pending_until < max(pending)):
        found, until = shown("at", head.pending_until), shown("at", max(pending))
        report("account", "", f"pending_until is {found}, but points are pending until {until}")


def _differs(found: OpenLot | OpenHold, must: OpenLot | OpenHold) -> str:
    return ", ".join(
        f"{name} is {shown(name, is_there)}, must be {shown(name, value)}"
        for name, is_there, value in zip(found._fields, found, must, strict=True)
        if is_there != value
    )
