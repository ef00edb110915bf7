"""One account in memory, under its lock: what it holds, how postings are begun and closed, and how lots are used.

Pure. What it is told, it computes; what it computes goes into a Journal, which the store posts. SQL checks it again.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from loyalty.calendar import END_OF_TIME
from loyalty.ledger.chain import posting_hash
from loyalty.ledger.life import Life
from loyalty.ledger.rows import EntryRow, HeadRow, LotRow, PostingRow, UseRow
from loyalty.ledger.state import NEVER, Head, Hold, Journal, OpenLot, Posting, UsedLot


class Account:
    """One account: what there is, its postings, and its lots. The moves that are allowed on it are the Book's.

    `now` is the ledger's clock, read after the lock; `idle_deadline` tells when idle points die that count from an
    instant. What is due must have been posted before any other move: `available` relies on it.
    """

    def __init__(
        self,
        head: Head,
        lots: Iterable[OpenLot],
        holds: Iterable[Hold],
        now: datetime,
        idle_deadline: Callable[[datetime], datetime],
        journal: Journal,
    ) -> None:
        self.head = head
        self.account = head.account
        self.was_number = head.number
        self.lots: dict[int, OpenLot] = {lot.lot: lot for lot in lots}
        self.holds: dict[str, Hold] = {hold.redemption_id: hold for hold in holds}
        self.now = now
        self.recorded_at = max(now, head.recorded_at)
        self.journal = journal
        self._idle_deadline = idle_deadline
        self._idle_ends: dict[datetime, datetime] = {}
        self._was_active_at = head.active_at
        self._posting: Posting | None = None

    # -- what there is ---------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Points granted but not spendable yet."""
        now = self.recorded_at
        return sum([lot.remaining for lot in self.lots.values() if lot.spendable_from > now])

    @property
    def available(self) -> int:
        """Points that can be spent now."""
        return self.available_beside(self.pending)

    def available_beside(self, pending: int) -> int:
        """As `available`, for who has asked what is pending already."""
        head = self.head
        return head.balance + head.debt - head.held - pending

    def end_of(self, lot: OpenLot) -> datetime | None:
        """When a lot dies: by its own date or, idle, a period after the account's last activity; None: never.

        Without any activity idle points count from when they were earned.
        """
        return self._idle_end(self.head.active_at or lot.earned_at) if lot.idle else lot.expires_at

    def _idle_end(self, counts_from: datetime) -> datetime | None:
        end = self._idle_ends.get(counts_from)
        if end is None:
            end = self._idle_ends[counts_from] = self._idle_deadline(counts_from)
        return end if end < END_OF_TIME else None

    def next_expiry(self) -> datetime | None:
        """The earliest instant at which points of known lots die."""
        ends = [self.end_of(lot) for lot in self.lots.values()]
        return min([end for end in ends if end is not None], default=None)

    def _spend_order(self, lot: OpenLot) -> tuple[datetime, datetime, int]:
        return self.end_of(lot) or NEVER, lot.earned_at, lot.lot

    # -- postings --------------------------------------------------------------------------------------------------

    def begin(
        self, kind: str, id: str | None, subject: str | None, occurred_at: datetime, version: int
    ) -> None:
        """Starts the account's next posting."""
        assert self._posting is None
        self.head.number += 1
        j = self.journal
        self._posting = Posting(
            kind, id, subject, occurred_at, version, len(j.entries), len(j.lots), len(j.uses), len(j.tiers)
        )

    def close(
        self,
        *,
        facts: str | None = None,
        answer: bytes | None = None,
        fingerprint: bytes | None = None,
        qualifying_at: datetime | None = None,
        qualifying_amount: int = 0,
    ) -> PostingRow:
        """Ends the posting and links it to the one before."""
        p, journal, head = self._under_way(), self.journal, self.head
        row = PostingRow(
            head.account, head.number, p.kind, p.id, p.subject, p.occurred_at, self.recorded_at, p.program_version,
            qualifying_at, qualifying_amount, fingerprint, facts, answer, b"",
        )  # fmt: skip
        row = self._link(p, row)
        head.recorded_at = self.recorded_at
        journal.postings.append(row)
        self._posting = None
        return row

    def _link(self, p: Posting, row: PostingRow) -> PostingRow:
        """The row with the hash that follows the last one's."""
        journal, head = self.journal, self.head
        head.hash = posting_hash(
            head.hash,
            row,
            journal.entries[p.entries :],
            journal.lots[p.lots :],
            journal.uses[p.uses :],
            journal.tiers[p.tiers :],
        )
        return PostingRow(*row[:-1], head.hash)

    def _under_way(self) -> Posting:
        assert self._posting is not None, "moves happen inside a posting"
        return self._posting

    def _enter(self, kind: str, points: int, occurred_at: datetime | None = None) -> None:
        p, head = self._under_way(), self.head
        head.seq += 1
        head.balance += points
        self.journal.entries.append(
            EntryRow(
                head.account, head.seq, head.number, kind, points, head.balance,
                occurred_at or p.occurred_at, self.recorded_at,
            )
        )  # fmt: skip

    # -- lots ------------------------------------------------------------------------------------------------------

    def _grant(
        self, points: int, earned_at: datetime, life: Life, purchase_id: str | None, origin: int | None = None
    ) -> tuple[OpenLot, int]:
        """A new lot. Debt is paid from it first; returns the lot and the debt repaid."""
        p, head = self._under_way(), self.head
        head.lots += 1
        lot = OpenLot(
            head.lots,
            origin or head.lots,
            points,
            earned_at,
            life.spendable_from,
            life.expires_at,
            life.idle,
            purchase_id,
        )
        self._record_lot(lot, p)
        self.lots[lot.lot] = lot
        if life.spendable_from > self.recorded_at:
            head.pending_until = max(head.pending_until or life.spendable_from, life.spendable_from)
        repaid = min(head.debt, points)
        if repaid:
            head.debt -= repaid
            self._use(lot, repaid, "debt")
        return lot, repaid

    def _record_lot(self, lot: OpenLot, p: Posting) -> None:
        self.journal.lots.append(
            LotRow(
                self.account, lot.lot, self.head.number, lot.origin, lot.remaining, lot.earned_at, lot.spendable_from,
                lot.expires_at, lot.idle, lot.purchase_id, p.occurred_at, self.recorded_at,
            )
        )  # fmt: skip

    def _use(self, lot: OpenLot, points: int, purpose: str, occurred_at: datetime | None = None) -> UsedLot:
        p = self._under_way()
        assert 0 < points <= lot.remaining, "a lot is never used beyond its points"
        lot.remaining -= points
        if not lot.remaining:
            del self.lots[lot.lot]
        uses = self.journal.uses
        uses.append(
            UseRow(
                self.account, self.head.number, len(uses) - p.uses + 1, lot.lot, purpose, points,
                occurred_at or p.occurred_at, self.recorded_at,
            )
        )  # fmt: skip
        return UsedLot(
            lot.lot,
            lot.origin,
            points,
            lot.earned_at,
            lot.spendable_from,
            lot.expires_at,
            lot.idle,
            lot.purchase_id,
        )

    def _take(self, points: int, purpose: str) -> list[UsedLot]:
        """Uses spendable lots, soonest to expire first."""
        assert points <= self.available, "checked before"
        spendable = [lot for lot in self.lots.values() if lot.spendable_from <= self.recorded_at]
        spendable.sort(key=self._spend_order)
        return self._take_from(spendable, points, purpose)

    def _take_from(self, lots: Iterable[OpenLot], points: int, purpose: str) -> list[UsedLot]:
        used = []
        for lot in lots:
            if not points:
                break
            part = min(points, lot.remaining)
            used.append(self._use(lot, part, purpose))
            points -= part
        return used

    def _activity(self, occurred_at: datetime) -> None:
        head = self.head
        if head.active_at is None or occurred_at > head.active_at:
            head.active_at = occurred_at

    # -- the head after it all -------------------------------------------------------------------------------------

    def _ahead(self) -> datetime | None:
        """An activity ahead of the clock: a version put before it is reached may let idle points die sooner, so what is
        due is worked out again then."""
        at = self.head.active_at
        return at if at is not None and at > self.recorded_at and self._idle_end(at) is not None else None

    def head_row(self) -> HeadRow:
        """The account's head as it is to be stored. `due_at` stays where it is while it is a sound bound."""
        head = self.head
        # An activity moves the end of idle points, also of those that are not loaded here: the bound is never late.
        moved = None if head.loaded or head.active_at == self._was_active_at else head.active_at
        ahead = [
            self.next_expiry(),
            None if moved is None else self._idle_end(moved),
            self._ahead(),
            head.tier_verdict_at,
            *[hold.until for hold in self.holds.values()],
        ]
        exact = min([at for at in ahead if at is not None], default=None)
        due_at = head.due_at
        if due_at is None or due_at <= self.recorded_at:
            due_at = exact
        elif exact is not None:
            due_at = min(due_at, exact)
        return HeadRow(
            head.account, self.was_number, head.number, head.seq, head.lots, head.balance, head.held, head.debt,
            head.hash, head.recorded_at, due_at, head.pending_until, head.active_at, head.purchases,
            head.tier, head.tier_since, head.tier_valid_until, head.tier_verdict_at,
            head.tier_ground_at, head.tier_judged_at, head.spend_bound, head.visits_bound,
            head.bound_at,
        )  # fmt: skip
