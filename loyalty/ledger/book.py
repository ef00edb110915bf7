"""An account's books in memory, under its lock: the state, and the moves of points that are allowed on it.

Pure: what it is told, it computes; what it computes goes into a Journal, which the store posts. SQL checks every move
again. All moves keep `balance = available + held + pending - debt` (DESIGN, promises of the ledger).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from loyalty.ledger.chain import posting_hash
from loyalty.ledger.life import Life
from loyalty.ledger.rows import (
    EndedHold,
    EntryRow,
    HeadRow,
    HoldRow,
    LotRow,
    PostingRow,
    TierRow,
    UseRow,
)

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Sorts after every expiry."""


@dataclass(slots=True)
class OpenLot:
    """Points of one grant that are still there. `expires_at` None: never, or with the account's activity if `idle`."""

    lot: int
    origin: int
    remaining: int
    earned_at: datetime
    spendable_from: datetime
    expires_at: datetime | None
    idle: bool
    purchase_id: str | None


@dataclass(slots=True, frozen=True)
class UsedLot:
    """Points that were used, with the life that they go back to when they are given back."""

    lot: int
    origin: int
    points: int
    earned_at: datetime
    spendable_from: datetime
    expires_at: datetime | None
    idle: bool
    purchase_id: str | None


@dataclass(slots=True)
class Hold:
    redemption_id: str
    posting: int
    points: int
    until: datetime
    uses: list[UsedLot]


@dataclass(slots=True, frozen=True)
class Estate:
    """All that an account has, on its way into another."""

    points: int
    debt: int
    lots: list[UsedLot]
    holds: list[Hold]


@dataclass(slots=True)
class Head:
    """An account's head as it was locked. `loaded`: all open lots and holds came with it."""

    account: int
    status: str
    merged_into: int | None
    member_id: str
    number: int
    seq: int
    lots: int
    balance: int
    held: int
    debt: int
    hash: bytes
    recorded_at: datetime
    due_at: datetime | None
    pending_until: datetime | None
    active_at: datetime | None
    purchases: int
    tier: str | None
    tier_since: datetime | None
    tier_valid_until: datetime | None
    tier_verdict_at: datetime | None
    tier_ground_at: datetime | None
    tier_judged_at: datetime | None
    spend_bound: int
    visits_bound: int
    bound_at: datetime
    loaded: bool


@dataclass(slots=True)
class Journal:
    """The rows of a batch, in the order in which they were decided."""

    postings: list[PostingRow] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    lots: list[LotRow] = field(default_factory=list)
    uses: list[UseRow] = field(default_factory=list)
    tiers: list[TierRow] = field(default_factory=list)
    opened: list[HoldRow] = field(default_factory=list)
    ended: list[EndedHold] = field(default_factory=list)


class _Posting:
    """The posting under way, and where its rows begin in the journal."""

    __slots__ = (
        "entries",
        "id",
        "kind",
        "lots",
        "occurred_at",
        "program_version",
        "subject",
        "tiers",
        "uses",
    )

    def __init__(
        self,
        kind: str,
        id: str | None,
        subject: str | None,
        occurred_at: datetime,
        version: int,
        journal: Journal,
    ) -> None:
        self.kind = kind
        self.id = id
        self.subject = subject
        self.occurred_at = occurred_at
        self.program_version = version
        self.entries = len(journal.entries)
        self.lots = len(journal.lots)
        self.uses = len(journal.uses)
        self.tiers = len(journal.tiers)


class Book:
    """One account's books. Every move happens inside a posting: `begin`, moves, `close`.

    `now` is the ledger's clock, read after the lock; `idle_deadline` tells when idle points die, from the account's
    last activity. What is due must have been posted before any other move: `available` relies on it.
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
        self._posting: _Posting | None = None

    # -- what there is ---------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Points granted but not spendable yet."""
        now = self.recorded_at
        return sum(lot.remaining for lot in self.lots.values() if lot.spendable_from > now)

    @property
    def available(self) -> int:
        """Points that can be spent now."""
        return self.head.balance + self.head.debt - self.head.held - self.pending

    def idle_at(self) -> datetime | None:
        """When the account's idle points die, if it has any."""
        return self.idle_end() if any(lot.idle for lot in self.lots.values()) else None

    def idle_end(self) -> datetime | None:
        """When idle points of the account die, whether it has any or not; None: not before its first activity."""
        return None if self.head.active_at is None else self._idle_deadline(self.head.active_at)

    def next_expiry(self) -> datetime | None:
        """The earliest instant at which points of known lots die."""
        instants = [lot.expires_at for lot in self.lots.values() if lot.expires_at is not None]
        idle_at = self.idle_at()
        if idle_at is not None:
            instants.append(idle_at)
        return min(instants, default=None)

    def _spend_order(self) -> Callable[[OpenLot], tuple[datetime, datetime, int]]:
        idle_at = self.idle_at() or NEVER
        return lambda lot: (
            (idle_at if lot.idle else lot.expires_at or NEVER),
            lot.earned_at,
            lot.lot,
        )

    # -- postings --------------------------------------------------------------------------------------------------

    def begin(
        self, kind: str, id: str | None, subject: str | None, occurred_at: datetime, version: int
    ) -> None:
        """Starts the account's next posting."""
        assert self._posting is None
        self.head.number += 1
        self._posting = _Posting(kind, id, subject, occurred_at, version, self.journal)

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

    def _link(self, p: _Posting, row: PostingRow) -> PostingRow:
        """The row with the hash that follows the last one's."""
        journal, head = self.journal, self.head
        uses = journal.uses[p.uses :]
        if len(uses) > 1:
            uses.sort(key=lambda use: (use.lot, use.purpose))
        head.hash = posting_hash(
            head.hash,
            row,
            journal.entries[p.entries :],
            journal.lots[p.lots :],
            uses,
            journal.tiers[p.tiers :],
        )
        return row._replace(hash=head.hash)

    def _under_way(self) -> _Posting:
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
        self.journal.lots.append(
            LotRow(
                head.account, lot.lot, head.number, lot.origin, points, earned_at, life.spendable_from, life.expires_at,
                life.idle, purchase_id, p.occurred_at, self.recorded_at,
            )
        )  # fmt: skip
        self.lots[lot.lot] = lot
        if life.spendable_from > self.recorded_at:
            head.pending_until = max(head.pending_until or life.spendable_from, life.spendable_from)
        repaid = min(head.debt, points)
        if repaid:
            head.debt -= repaid
            self._use(lot, repaid, "debt")
        return lot, repaid

    def _use(self, lot: OpenLot, points: int, purpose: str, occurred_at: datetime | None = None) -> UsedLot:
        p = self._under_way()
        assert 0 < points <= lot.remaining, "a lot is never used beyond its points"
        lot.remaining -= points
        if not lot.remaining:
            del self.lots[lot.lot]
        self.journal.uses.append(
            UseRow(
                self.account,
                self.head.number,
                lot.lot,
                purpose,
                points,
                occurred_at or p.occurred_at,
                self.recorded_at,
            )
        )
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
        spendable.sort(key=self._spend_order())
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
        self.head.active_at = max(self.head.active_at or occurred_at, occurred_at)

    # -- moves -----------------------------------------------------------------------------------------------------

    def earn(self, points: int, life: Life, purchase_id: str | None) -> tuple[OpenLot, int]:
        """Points for a purchase. Returns their lot and how many of them repaid debt."""
        occurred_at = self._under_way().occurred_at
        self._enter("earn", points)
        self._activity(occurred_at)
        return self._grant(points, occurred_at, life, purchase_id)

    def adjust(self, points: int, life: Life | None) -> int:
        """Points added (with a life) or taken by ops. Returns the debt repaid."""
        if points < 0:
            self._take(-points, "adjust")
            self._enter("adjust", points)
            return 0
        assert life is not None
        self._enter("adjust", points)
        return self._grant(points, self._under_way().occurred_at, life, None)[1]

    def redeem(self, points: int) -> list[UsedLot]:
        """Points spent at once."""
        used = self._take(points, "redeem")
        self._enter("redeem", -points)
        self._activity(self._under_way().occurred_at)
        return used

    def hold(self, redemption_id: str, points: int, until: datetime) -> Hold:
        """Points set aside: their lots are used now, so that they cannot expire under the hold."""
        self._activity(self._under_way().occurred_at)
        hold = Hold(redemption_id, self.head.number, points, until, self._take(points, "hold"))
        self.head.held += points
        self.holds[redemption_id] = hold
        self.journal.opened.append(HoldRow(self.account, redemption_id, hold.posting, points, until))
        return hold

    def end_hold(
        self, hold: Hold, captured: int, restored_life: Callable[[datetime | None, bool], Life | None]
    ) -> int:
        """Spends `captured` points of a hold and gives the rest back, last used first. Returns the debt repaid."""
        del self.holds[hold.redemption_id]
        self.head.held -= hold.points
        self.journal.ended.append(EndedHold(self.account, hold.redemption_id))
        if captured:
            self._enter("redeem", -captured)
            self._activity(self._under_way().occurred_at)
        return self._give_back(hold.uses, hold.points - captured, 0, restored_life)

    def restore(
        self,
        uses: Sequence[UsedLot],
        points: int,
        already: int,
        restored_life: Callable[[datetime | None, bool], Life | None],
    ) -> int:
        """Gives back `points` of a redemption of which `already` were given back. Returns the debt repaid."""
        self._enter("restore", points)
        return self._give_back(uses, points, already, restored_life)

    def _give_back(
        self,
        uses: Sequence[UsedLot],
        points: int,
        already: int,
        restored_life: Callable[[datetime | None, bool], Life | None],
    ) -> int:
        """Last used first, each part to the life it had. `restored_life` gives None where it dies at once."""
        repaid = 0
        at = self._under_way().occurred_at
        died: dict[datetime, list[OpenLot]] = defaultdict(list)
        for use in reversed(uses):
            skipped = min(already, use.points)
            already -= skipped
            part = min(points, use.points - skipped)
            if not part:
                continue
            points -= part
            life = restored_life(use.expires_at, use.idle)
            dead = life is None
            if life is None:
                life = Life(spendable_from=use.spendable_from, expires_at=use.expires_at or at, idle=False)
            else:
                life = Life(spendable_from=use.spendable_from, expires_at=life.expires_at, idle=life.idle)
            lot, paid = self._grant(part, use.earned_at, life, use.purchase_id, use.origin)
            repaid += paid
            if dead and lot.remaining:
                died[lot.expires_at or at].append(lot)
        for lots in died.values():
            self._expire(lots, at)
        assert not points, "no more is given back than was used"
        return repaid

    def claw_back(self, points: int, purchase_id: str | None, *, forgive: bool) -> tuple[int, int]:
        """Takes back points: the purchase's own lots first (pending before spendable), then others, never held ones.

        Returns what was taken from lots and what became debt; with `forgive`, what is missing is let go.
        """
        order = self._spend_order()

        def rank(lot: OpenLot) -> tuple[int, tuple[datetime, datetime, int]]:
            if purchase_id is None or lot.purchase_id != purchase_id:
                return 2, order(lot)
            return int(lot.spendable_from <= self.recorded_at), order(lot)

        lots = sorted(self.lots.values(), key=rank)
        there = sum(lot.remaining for lot in lots)
        taken = min(points, there)
        debt = 0 if forgive else points - taken
        if taken + debt:
            self._enter("clawback", -(taken + debt))
        self._take_from(lots, taken, "clawback")
        self.head.debt += debt
        return taken, debt

    def expire_lot(self, lot: OpenLot, at: datetime) -> None:
        """What is left of one lot dies at `at`."""
        self._expire([lot], at)

    def expire_due(self, at: datetime) -> int:
        """All points that die at the instant `at` (idle ones included), as one entry. Returns how many."""
        idle_at = self.idle_at()
        dying = [lot for lot in self.lots.values() if (idle_at if lot.idle else lot.expires_at) == at]
        return self._expire(dying, at)

    def _expire(self, lots: Sequence[OpenLot], at: datetime) -> int:
        """What is left of lots that die together, as one entry."""
        points = sum(lot.remaining for lot in lots)
        if points:
            self._enter("expire", -points, at)
        for lot in lots:
            self._use(lot, lot.remaining, "expire", at)
        return points

    def change_tier(
        self,
        *,
        at: datetime,
        tier: str,
        previous: str | None,
        reason: str,
        since: datetime,
        valid_until: datetime | None,
        verdict_at: datetime | None,
        ground_at: datetime | None,
    ) -> None:
        """Records a change of tier. What the head then says of the tier is the caller's to set."""
        p = self._under_way()
        self.journal.tiers.append(
            TierRow(
                self.account, self.head.number, len(self.journal.tiers) - p.tiers + 1, at, tier, previous, reason,
                since, valid_until, verdict_at, ground_at, self.recorded_at,
            )
        )  # fmt: skip

    # -- merging ---------------------------------------------------------------------------------------------------

    def give_all(self) -> Estate:
        """Everything of this account leaves it: points, holds and debt. Its posting under way holds the way out."""
        head = self.head
        lots = sorted(self.lots.values(), key=self._spend_order())
        holds = list(self.holds.values())
        estate = Estate(
            head.balance,
            head.debt,
            [self._use(lot, lot.remaining, "merge") for lot in lots],
            holds,
        )
        for hold in holds:
            self.journal.ended.append(EndedHold(self.account, hold.redemption_id))
        self.holds.clear()
        head.held = head.debt = 0
        if estate.points:
            self._enter("merge", -estate.points)
        return estate

    def take_all(self, estate: Estate) -> list[tuple[Hold, list[OpenLot]]]:
        """Everything of another account comes in. Lots keep their lives. Held points come as lots, to be held again by
        `hold_again`, each hold in a posting of its own. Debts of either are paid from the lots of both."""
        head, before = self.head, self.head.debt
        if estate.points:
            self._enter("merge", estate.points)
        # Lots of one origin over there stay of one origin here.
        origins: dict[int, int] = {}
        head.debt = 0

        def moved(use: UsedLot) -> OpenLot:
            life = Life(spendable_from=use.spendable_from, expires_at=use.expires_at, idle=use.idle)
            lot, _ = self._grant(use.points, use.earned_at, life, use.purchase_id, origins.get(use.origin))
            origins.setdefault(use.origin, lot.lot)
            return lot

        for use in estate.lots:
            moved(use)
        held = [(hold, [moved(use) for use in hold.uses]) for hold in estate.holds]
        head.debt = before + estate.debt
        if head.debt:
            kept = {lot.lot for _, lots in held for lot in lots}
            paying = sorted(
                (lot for lot in self.lots.values() if lot.lot not in kept), key=self._spend_order()
            )
            paid = sum(use.points for use in self._take_from(paying, head.debt, "debt"))
            head.debt -= paid
        return held

    def hold_again(self, hold: Hold, lots: list[OpenLot]) -> None:
        """A hold that came with a merge goes on, on its own lots, whether they expired meanwhile or not."""
        uses = [self._use(lot, lot.remaining, "merge") for lot in lots]
        self.head.held += hold.points
        self.holds[hold.redemption_id] = Hold(
            hold.redemption_id, self.head.number, hold.points, hold.until, uses
        )
        self.journal.opened.append(
            HoldRow(self.account, hold.redemption_id, self.head.number, hold.points, hold.until)
        )

    def forfeit(self) -> int:
        """Everything that is not held is given up, debt too. Returns the points that were left."""
        head = self.head
        lots = list(self.lots.values())
        points = sum(lot.remaining for lot in lots)
        if points - head.debt:
            self._enter("adjust", head.debt - points)
        for lot in lots:
            self._use(lot, lot.remaining, "adjust")
        head.debt = 0
        return points

    # -- the head after it all -------------------------------------------------------------------------------------

    def head_row(self) -> HeadRow:
        """The account's head as it is to be stored. `due_at` stays where it is while it is a sound bound."""
        head = self.head
        exact = min(
            (at for at in (
                self.next_expiry(),
                min((hold.until for hold in self.holds.values()), default=None),
                head.tier_verdict_at,
            ) if at is not None),
            default=None,
        )  # fmt: skip
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
