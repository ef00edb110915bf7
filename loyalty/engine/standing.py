"""Between tiers (pure) and books: where an account stands, and what a purchase or a return does to that."""

from collections.abc import Sequence
from datetime import datetime

from loyalty.engine.context import Context
from loyalty.engine.programs import BEGINNING, ProgramVersion
from loyalty.ledger.book import Book
from loyalty.ledger.state import Head
from loyalty.tiers.assess import on_return, promotions, verdict
from loyalty.tiers.history import standing_after, tier_at
from loyalty.tiers.model import Change, Metric, Qualifying, Standing
from loyalty.tiers.window import metric


def standing_of_head(version: ProgramVersion, head: Head) -> Standing:
    """Where the account stands; one that never changed its tier is in the lowest."""
    if head.tier is None or head.tier_since is None:
        return Standing(tier=version.program.tiers[0].id, since=BEGINNING)
    return Standing(
        tier=head.tier,
        since=head.tier_since,
        valid_until=head.tier_valid_until,
        verdict_at=head.tier_verdict_at,
        ground_at=head.tier_ground_at,
        judged_at=head.tier_judged_at,
    )


def may_promote(version: ProgramVersion, head: Head, amount: int, visits: int) -> bool:
    """Whether that much more could lead to a promotion, by the head's bounds alone."""
    spend_from, visits_from = version.thresholds[head.tier or version.program.tiers[0].id]
    return (spend_from is not None and head.spend_bound + amount >= spend_from) or (
        visits_from is not None and head.visits_bound + visits >= visits_from
    )


def needs_tiers(version: ProgramVersion, head: Head, at: datetime, amount: int, visits: int) -> bool:
    """Whether purchases up to one at `at`, of so much in all, arrive late or could reach a threshold."""
    late = at < head.bound_at or (head.tier_since is not None and at < head.tier_since)
    return late or may_promote(version, head, amount, visits)


def tier_in_force(context: Context, version: ProgramVersion, book: Book, at: datetime) -> str:
    """The tier that a purchase at `at` is judged by."""
    tier, since = book.head.tier, book.head.tier_since
    if tier is None or since is None:
        return version.program.tiers[0].id
    if at >= since:
        return tier
    return tier_at(version.program, context.history[book.account], at)


def apply_change(context: Context, version: ProgramVersion, book: Book, change: Change) -> None:
    """Records a change inside the posting under way and moves the head's standing."""
    head = book.head
    after = standing_after(version.program, standing_of_head(version, head), change)
    book.change_tier(
        at=change.at,
        tier=change.tier,
        previous=change.previous,
        reason=change.reason,
        since=change.since,
        valid_until=change.valid_until,
        verdict_at=change.verdict_at,
        ground_at=change.ground_at,
    )
    head.tier, head.tier_since = after.tier, after.since
    head.tier_valid_until, head.tier_verdict_at = after.valid_until, after.verdict_at
    head.tier_ground_at, head.tier_judged_at = after.ground_at, after.judged_at
    if book.account in context.history:
        context.history[book.account].append(change)


def count_purchase(context: Context, version: ProgramVersion, book: Book, at: datetime, amount: int) -> None:
    """Adds a purchase's metric, and promotes if a threshold is reached."""
    head = book.head
    if amount:
        head.spend_bound += amount
        head.visits_bound += 1
    rows = context.rows.get(book.account)
    if rows is None or not amount:
        return
    rows.append(Qualifying(at, amount))
    if context.programs.one_window() and not needs_tiers(version, head, at, 0, 0):
        return  # the rows were read for another request of the batch
    history = context.history[book.account]
    found = None
    if at >= max([row.at for row in rows]):
        found = metric(version.program.tier_policy.window, version.calendar, rows, at)
    while True:
        standing = standing_of_head(version, head)
        for change in promotions(version.program, version.calendar, standing, rows, at, history, found):
            apply_change(context, version, book, change)
        if not _judge_elapsed(context, book):
            break  # else: after a tier that was reached and lost in the past, later purchases may reach it anew
    if found is not None:
        head.spend_bound, head.visits_bound, head.bound_at = _most_spend(rows, found), found.visits, at


def _most_spend(rows: Sequence[Qualifying], found: Metric) -> int:
    """The most that the window that was found, or one that begins later, holds of what is known: goods that came back
    without their purchase may leave the window before what they were taken from."""
    if min([row.amount for row in rows]) >= 0:
        return found.spend_amount
    most = total = 0
    for row in sorted(rows, key=lambda row: (row.at, -row.amount), reverse=True):
        if row.at < found.from_:
            break
        total += row.amount
        most = max(most, total)
    return most


def count_return(
    context: Context, version: ProgramVersion, book: Book, goods: Sequence[Qualifying], at: datetime
) -> None:
    """Takes returned goods from the metric, and lowers the tier at once where the program says so."""
    rows = context.rows.get(book.account)
    if rows is None:
        return
    rows.extend(goods)
    standing = standing_of_head(version, book.head)
    change = on_return(version.program, version.calendar, standing, rows, goods, at)
    if change is not None:
        apply_change(context, version, book, change)
        _judge_elapsed(context, book)


def _judge_elapsed(context: Context, book: Book) -> bool:
    """Decides each validity of a tier changed in the past that has elapsed since. Returns whether there was one."""
    head, rows, found = book.head, context.rows[book.account], False
    while head.tier_verdict_at is not None and head.tier_verdict_at <= book.recorded_at:
        version = context.programs.at(head.tier_verdict_at)
        change = verdict(version.program, version.calendar, standing_of_head(version, head), rows)
        apply_change(context, version, book, change)
        found = True
    return found
