"""Checks a range of accounts, one account after another. Pure: rows in, findings out."""

from loyalty.audit.books import Books, Report
from loyalty.audit.findings import MOST_FINDINGS, Finding, Part, Totals
from loyalty.audit.projections import check_projections
from loyalty.audit.rows import Moved, Posting, Range
from loyalty.audit.terms import Terms


def check_range(there: Range, terms: Terms) -> Part:
    """Rebuilds every account of a range and names the rows that differ.

    Args:
        there: all rows of the accounts; used up.
        terms: what the program's versions say.
    """
    part = Part([], 0, Totals())
    orphans: dict[int, list[int]] = {}
    known = {posting[:2] for posting in there.postings}
    for account, number in there.moved.keys() - known:
        orphans.setdefault(account, []).append(number)
    for account, postings in there.accounts():
        head = there.heads.get(account)
        report = _reporter(part, account, None if head is None else head.member_id)
        gone = head is not None and head.status == "merged" and bool(postings)
        books = Books(terms, report, postings[-1].number if gone else None)
        for number, posting in _in_order(postings, orphans.get(account)):
            moved = there.moved.pop((account, number), None) or Moved()
            books.replay(number, posting, moved)
            _count(part.totals, posting, moved)
        check_projections(
            books, head, there.open_lots.get(account, ()), there.open_holds.get(account, ()),
            there.inherited.get(account, ()), report,
        )  # fmt: skip
        part.totals.accounts += 1
    return part


def _in_order(postings: list[Posting], orphans: list[int] | None) -> list[tuple[int, Posting | None]]:
    """Postings by number, and those that rows name but that are not there."""
    numbered: list[tuple[int, Posting | None]] = [(posting.number, posting) for posting in postings]
    if orphans:
        numbered += [(number, None) for number in orphans]
        numbered.sort(key=lambda pair: pair[0])
    return numbered


def _count(totals: Totals, posting: Posting | None, moved: Moved) -> None:
    totals.postings += posting is not None
    totals.entries += len(moved.entries)
    totals.lots += len(moved.lots)
    totals.uses += len(moved.uses)
    totals.tier_changes += len(moved.tiers)
    for entry in moved.entries:
        setattr(totals, entry.counter, getattr(totals, entry.counter) + entry.points)


def _reporter(part: Part, account: int, member_id: str | None) -> Report:
    def report(table: str, key: str, message: str) -> None:
        part.count += 1
        if len(part.rows) < MOST_FINDINGS:
            part.rows.append(Finding(account, member_id, table, key, message))

    return report
