"""Books and a context for decisions that nobody is told of: the same moves, without hashes, answers and due dates.

Only what later decisions read is kept. Everything that decides is inherited.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from loyalty.engine.context import Context, P
from loyalty.engine.due import first_due, post_due
from loyalty.engine.facts import to_text
from loyalty.engine.programs import BEGINNING, ProgramVersion
from loyalty.ledger.book import Book
from loyalty.ledger.chain import GENESIS
from loyalty.ledger.life import Life
from loyalty.ledger.rows import PostingRow
from loyalty.ledger.state import Head, Hold, Journal, OpenLot, Posting


def empty_head(account: int) -> Head:
    """The head of an account that nothing has happened to."""
    return Head(
        account, "active", None, "",  # member_id
        0, 0, 0, 0, 0, 0,  # number, seq, lots, balance, held, debt
        GENESIS, BEGINNING, None, None, None, 0,  # recorded_at, due_at, pending_until, active_at, purchases
        None, None, None, None, None, None,  # tier
        0, 0, BEGINNING, True,  # spend_bound, visits_bound, bound_at, loaded
    )  # fmt: skip


class ReplayBook(Book):
    """A book whose postings are linked to nothing. `due` is never later than the first thing that falls due.

    whole: the rows of lots are made too, which no decision reads.
    """

    def __init__(
        self,
        account: int,
        idle_deadline: Callable[[datetime], datetime],
        journal: Journal,
        *,
        whole: bool = False,
    ) -> None:
        super().__init__(empty_head(account), (), (), BEGINNING, idle_deadline, journal)
        self._whole = whole
        self.due: datetime | None = None
        self._idles = False

    def _link(self, p: Posting, row: PostingRow) -> PostingRow:  # noqa: ARG002 -- as Account calls it
        return row

    def _record_lot(self, lot: OpenLot, p: Posting) -> None:
        if self._whole:
            Book._record_lot(self, lot, p)

    def _watch(self, at: datetime | None) -> None:
        if at is not None and (self.due is None or at < self.due):
            self.due = at

    def _grant(
        self, points: int, earned_at: datetime, life: Life, purchase_id: str | None, origin: int | None = None
    ) -> tuple[OpenLot, int]:
        if life.idle:
            self._idles = True
            self._watch(self._idle_end(self.head.active_at or earned_at))
        else:
            self._watch(life.expires_at)
        return Book._grant(self, points, earned_at, life, purchase_id, origin)

    def _activity(self, occurred_at: datetime) -> None:
        Book._activity(self, occurred_at)
        if self._idles and self.head.active_at is not None:
            self._watch(self._idle_end(self.head.active_at))

    def hold(self, redemption_id: str, points: int, until: datetime) -> Hold:
        self._watch(until)
        return super().hold(redemption_id, points, until)

    def hold_again(self, hold: Hold, lots: list[OpenLot]) -> None:
        self._watch(hold.until)
        super().hold_again(hold, lots)

    def change_tier(self, **change: Any) -> None:
        self._watch(change["verdict_at"])
        super().change_tier(**change)

    def at(self, recorded_at: datetime) -> None:
        """The clock stands there now."""
        self.now = recorded_at
        self._idle_ends.clear()  # the programs may have changed
        if recorded_at > self.recorded_at:
            self.recorded_at = recorded_at


@dataclass(slots=True)
class ReplayContext(Context):
    """What the decisions of one family see.

    keep: whether a later posting is about the one under way, so that its facts are needed. matched: what was recorded
    of the birthday, where it was. demand: told (rule, points) of what is used of budgets.
    """

    keep: bool = False
    matched: frozenset[str] | None = None
    demand: Callable[[str, int], None] | None = None

    def told(self, make: Callable[P, Struct], *of: P.args, **more: P.kwargs) -> bytes:  # noqa: ARG002 -- nobody is told
        return b""

    def noted(self, make: Callable[P, Struct], *of: P.args, **more: P.kwargs) -> str:
        return to_text(make(*of, **more)) if self.keep else ""

    def birthday(self, account: int, day: date) -> frozenset[str]:
        return self.matched if self.matched is not None else Context.birthday(self, account, day)

    def charge(
        self, account: int, version: ProgramVersion, day: date, rule: str, times: int, points: int
    ) -> None:
        Context.charge(self, account, version, day, rule, times, points)
        if self.demand is not None and points:
            self.demand(rule, points)

    def post_due(self, book: ReplayBook, through: datetime) -> None:
        """Posts what is due up to `through`; the tier's rows must be there."""
        if book.due is not None and book.due <= through:
            post_due(self, book, through)
            due = first_due(book)
            book.due = due[0] if due is not None else None
