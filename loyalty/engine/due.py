"""Posts what is due on an account, in the order in which it fell due: ended holds, expiries, tier verdicts.

Each is a posting of its own that occurred at its due instant, so that the state at an instant does not depend on when a
batch ran. Every write that locks the account does this first (DESIGN, promise 12).
"""

from datetime import datetime

from loyalty.engine.context import Context
from loyalty.engine.facts import EndFacts, to_text
from loyalty.engine.standing import apply_change, standing_of_head
from loyalty.ledger.book import Book
from loyalty.tiers.assess import verdict

TIMEOUT, EXPIRY, VERDICT = 0, 1, 2
NAMES = ("holds_timed_out", "points_expired", "verdicts")


def post_due(context: Context, book: Book, through: datetime) -> tuple[int, int, int]:
    """Posts everything due up to `through`. Returns the counts: holds timed out, points expired, verdicts."""
    timed_out = expired = verdicts = 0
    while (due := first_due(book)) is not None and due[0] <= through:
        at, what = due
        version = context.programs.at(at)
        if what == TIMEOUT:
            hold = min(book.holds.values(), key=lambda hold: (hold.until, hold.redemption_id))
            book.begin("timeout", None, hold.redemption_id, at, version.version)
            book.end_hold(hold, 0, context.lives_given_back(book, at))
            context.remember(book.close(facts=to_text(EndFacts(0, 0))))
            timed_out += 1
        elif what == EXPIRY:
            book.begin("expiry", None, None, at, version.version)
            expired += book.expire_due(at)
            book.close()
        else:
            rows = context.rows[book.account]
            change = verdict(version.program, version.calendar, standing_of_head(version, book.head), rows)
            book.begin("verdict", None, None, at, version.version)
            apply_change(context, version, book, change)
            book.close()
            verdicts += 1
    return timed_out, expired, verdicts


def first_due(book: Book) -> tuple[datetime, int] | None:
    """The next thing that falls due, and when: TIMEOUT, EXPIRY or VERDICT."""
    due = [(hold.until, TIMEOUT) for hold in book.holds.values()]
    expiry = book.next_expiry()
    if expiry is not None:
        due.append((expiry, EXPIRY))
    if book.head.tier_verdict_at is not None:
        due.append((book.head.tier_verdict_at, VERDICT))
    return min(due, default=None)
