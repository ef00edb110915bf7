"""The head's bounds, which may be early or too high, never late or too low: nothing due may be missed, no promotion."""

from collections.abc import Iterable, Sequence
from datetime import date

from loyalty.audit.books import Books, Report
from loyalty.audit.rows import Head, Lot, shown

Qualifying = tuple[int, int]
"""When, and the amount that counted for tiers."""


def check_bounds(
    books: Books, left: Sequence[Lot], head: Head, inherited: Iterable[Qualifying], report: Report
) -> None:
    """Reports bounds that do not hold.

    Args:
        left: lots of which points are left.
        inherited: what counts for tiers and was posted on accounts that were merged into this one.
    """
    _due(books, left, head, report)
    pending = [lot.spendable_from for lot in left if lot.spendable_from > head.recorded_at]
    if pending and (head.pending_until is None or head.pending_until < max(pending)):
        found, until = shown("at", head.pending_until), shown("at", max(pending))
        report("account", "", f"pending_until is {found}, but points are pending until {until}")
    if head.status == "merged":
        return  # its bounds went on with it, and so did what came into it
    rows = [*books.qualifying, *inherited]
    if rows and not _surely_within(rows, head):
        _tier_metric(books, sorted(rows), head, report)


def _due(books: Books, left: Iterable[Lot], head: Head, report: Report) -> None:
    due = [hold.until for hold in books.holds.values() if hold.until is not None]
    due += [end for lot in left if (end := books.end_of(lot, books.active_at)) is not None]
    if head.tier_verdict_at is not None:
        due.append(head.tier_verdict_at)
    if due and (head.due_at is None or head.due_at > min(due)):
        found, first = shown("due_at", head.due_at), shown("due_at", min(due))
        report("account", "", f"due_at is {found}, but the first thing is due {first}")


def _surely_within(rows: Iterable[Qualifying], head: Head) -> bool:
    """Whether the bounds hold even if all that was ever bought lay in one window."""
    bought = [amount for _, amount in rows if amount > 0]
    return sum(bought) <= head.spend_bound and len(bought) <= head.visits_bound


def _tier_metric(books: Books, rows: Sequence[Qualifying], head: Head, report: Report) -> None:
    """Each window that ends with the bounds' instant or a row after it must lie within them."""
    first = spend = visits = last = 0
    by_day: dict[date, int] = {}
    for end in [head.bound_at, *(at for at, _ in rows if at > head.bound_at)]:
        window = books.terms.window(end)
        if window is None:
            return
        start, day = window
        while last < len(rows) and rows[last][0] <= end:
            at, amount = rows[last]
            before = by_day.get(day(at), 0)
            by_day[day(at)] = before + amount
            spend, visits, last = spend + amount, visits + (before + amount > 0) - (before > 0), last + 1
        while first < last and rows[first][0] < start:
            at, amount = rows[first]
            before = by_day[day(at)]
            by_day[day(at)] = before - amount
            spend, visits, first = spend - amount, visits + (before > amount) - (before > 0), first + 1
        if spend > head.spend_bound or visits > head.visits_bound:
            report(
                "account", "",
                f"spend_bound {head.spend_bound} and visits_bound {head.visits_bound} are below what a tier's window "
                f"holds: {spend} and {visits}",
            )  # fmt: skip
            return
