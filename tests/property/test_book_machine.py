"""A book in any order of moves, beside a naive model of it: conservation, order of spending, one end for each hold."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from loyalty.ledger.book import Book
from loyalty.ledger.chain import GENESIS
from loyalty.ledger.life import Life
from loyalty.ledger.state import NEVER, Head, Journal

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
POINTS = st.integers(1, 60)
DAYS = st.integers(0, 20)


def empty_head() -> Head:
    return Head(
        account=1, status="active", merged_into=None, member_id="ada", number=0, seq=0, lots=0, balance=0, held=0,
        debt=0, hash=GENESIS, recorded_at=START, due_at=None, pending_until=None, active_at=None, purchases=0,
        tier=None,
        tier_since=None, tier_valid_until=None, tier_verdict_at=None, tier_ground_at=None, tier_judged_at=None,
        spend_bound=0, visits_bound=0, bound_at=START, loaded=True,
    )  # fmt: skip


class Books(RuleBasedStateMachine):
    """Moves as the engine makes them: what is due is posted first, then one posting with its moves."""

    @initialize(idle_days=st.integers(3, 15), grace=st.integers(0, 5))
    def open(self, idle_days: int, grace: int) -> None:
        self.idle_days = timedelta(days=idle_days)
        self.grace = grace
        self.journal = Journal()
        self.book = Book(empty_head(), (), (), START, self.deadline, self.journal)
        self.serial = 0
        self.redeemed: list[
            tuple[list[Any], int]
        ] = []  # lots used by redemptions, and how much of it went back

    def deadline(self, active_at: datetime) -> datetime:
        return active_at + self.idle_days

    # -- what the moves need -----------------------------------------------------------------------------------

    def begin(self, kind: str, at: datetime | None = None) -> Book:
        self.serial += 1
        self.seen = (len(self.journal.entries), len(self.journal.uses))
        self.book.begin(kind, None, None, at or self.book.recorded_at, 1)
        return self.book

    def close(self) -> None:
        self.book.close()

    def life_back(self, at: datetime) -> Any:
        def back(expires_at: datetime | None, idle: bool) -> Life | None:
            end = self.deadline(self.book.head.active_at or at) if idle else expires_at
            if end is None or end > at:
                return Life(at, None if idle else end, idle)
            return Life(at, at + self.grace * DAY, False) if self.grace else None

        return back

    def ends(self, lot: Any) -> datetime:
        if lot.idle:
            return self.deadline(self.book.head.active_at or lot.earned_at)
        return lot.expires_at or NEVER

    def spendable(self) -> list[Any]:
        lots = [lot for lot in self.book.lots.values() if lot.spendable_from <= self.book.recorded_at]
        return sorted(lots, key=lambda lot: (self.ends(lot), lot.earned_at, lot.lot))

    def expect_taken(self, lots: list[Any], points: int) -> list[tuple[int, int]]:
        taken = []
        for lot in lots:
            part = min(points, lot.remaining)
            points -= part
            if part:
                taken.append((lot.lot, part))
        return taken

    def taken(self, purpose: str) -> list[tuple[int, int]]:
        return [(use.lot, use.points) for use in self.journal.uses[self.seen[1] :] if use.purpose == purpose]

    # -- moves -------------------------------------------------------------------------------------------------

    @rule(days=DAYS)
    def time_passes(self, days: int) -> None:
        """Whatever fell due is posted at its own instant, ended holds before what dies then."""
        book = self.book
        book.recorded_at += timedelta(days=days, hours=1)
        while True:
            holds = sorted((hold.until, hold.redemption_id) for hold in book.holds.values())
            expiry = book.next_expiry()
            due = min([at for at, _ in holds[:1]] + ([expiry] if expiry else []), default=None)
            if due is None or due > book.recorded_at:
                return
            if holds and holds[0][0] == due:
                self.begin("timeout", due)
                book.end_hold(book.holds[holds[0][1]], 0, self.life_back(due))
            else:
                dying = sum(lot.remaining for lot in book.lots.values() if self.ends(lot) == due)
                self.begin("expiry", due)
                assert book.expire_due(due) == dying
            self.close()

    @rule(
        points=POINTS,
        ago=DAYS,
        lives=st.integers(1, 30),
        pending=st.integers(0, 4),
        kind=st.sampled_from("dni"),
    )
    def earn(self, points: int, ago: int, lives: int, pending: int, kind: str) -> None:
        at = self.book.recorded_at - ago * DAY
        start = at + pending * DAY
        life = Life(start, start + lives * DAY if kind == "d" else None, kind == "i")
        book = self.begin("purchase", at)
        debt = book.head.debt
        lot, repaid = book.earn(points, life, f"p{self.serial % 5}")
        assert repaid == min(debt, points)
        if self.ends(lot) <= book.recorded_at and lot.remaining:
            book.expire_lot(lot, self.ends(lot))
        self.close()

    @precondition(lambda self: self.book.available > 0)
    @rule(
        part=st.floats(0.01, 1),
        purpose=st.sampled_from(["redeem", "hold", "adjust"]),
        hours=st.integers(1, 200),
    )
    def spend(self, part: float, purpose: str, hours: int) -> None:
        points = max(1, int(self.book.available * part))
        expected = self.expect_taken(self.spendable(), points)
        book = self.begin(purpose)
        if purpose == "redeem":
            self.redeemed.append((book.redeem(points), 0))
        elif purpose == "adjust":
            book.adjust(-points, None)
        else:
            book._activity(book.recorded_at)  # a hold is an activity: the order is that after it
            expected = self.expect_taken(self.spendable(), points)
            book.hold(f"h{self.serial}", points, book.recorded_at + timedelta(hours=hours))
        assert self.taken(purpose) == expected
        self.close()

    @precondition(lambda self: self.book.holds)
    @rule(data=st.data())
    def end_hold(self, data: st.DataObject) -> None:
        hold = data.draw(
            st.sampled_from(sorted(self.book.holds.values(), key=lambda hold: hold.redemption_id))
        )
        captured = data.draw(st.integers(0, hold.points))
        book = self.begin("capture")
        held, balance = book.head.held, book.head.balance
        book.end_hold(hold, captured, self.life_back(book.recorded_at))
        assert book.head.held == held - hold.points
        died = sum(entry.points for entry in self.journal.entries[self.seen[0] :] if entry.kind == "expire")
        assert book.head.balance == balance - captured + died
        assert hold.redemption_id not in book.holds
        self.close()

    @precondition(lambda self: any(self.left(at) for at in range(len(self.redeemed))))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        at = data.draw(st.sampled_from([at for at in range(len(self.redeemed)) if self.left(at)]))
        uses, already = self.redeemed[at]
        points = data.draw(st.integers(1, self.left(at)))
        book = self.begin("reversal")
        first = len(self.journal.lots)
        book.restore(uses, points, already, self.life_back(book.recorded_at))
        origins = {use.origin for use in uses}
        back = self.journal.lots[first:]
        assert sum(lot.points for lot in back) == points
        assert {lot.origin for lot in back} <= origins
        last = [use.origin for use in reversed(uses)]
        rest = iter(last)
        assert all(lot.origin in rest for lot in back), "last used first"
        self.redeemed[at] = uses, already + points
        self.close()

    def left(self, at: int) -> int:
        uses, already = self.redeemed[at]
        return sum(use.points for use in uses) - already

    @rule(points=POINTS, purchase=st.integers(0, 5), forgive=st.booleans())
    def claw_back(self, points: int, purchase: int, forgive: bool) -> None:
        own = f"p{purchase}" if purchase < 5 else None
        now = self.book.recorded_at
        lots = sorted(self.book.lots.values(), key=lambda lot: (self.ends(lot), lot.earned_at, lot.lot))
        mine = [lot for lot in lots if own and lot.purchase_id == own]
        order = [lot for lot in mine if lot.spendable_from > now]
        order += [lot for lot in mine if lot.spendable_from <= now]
        order += [lot for lot in lots if lot not in mine]
        expected = self.expect_taken(order, points)
        book = self.begin("return")
        held = book.head.held
        taken, debt = book.claw_back(points, own, forgive=forgive)
        assert self.taken("clawback") == expected
        assert taken == sum(part for _, part in expected)
        assert debt == (0 if forgive else points - taken)
        assert book.head.held == held
        self.close()

    # -- what always holds -------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_created_or_lost(self) -> None:
        if not hasattr(self, "book"):
            return
        book, head = self.book, self.book.head
        entries = self.journal.entries
        assert head.balance == sum(entry.points for entry in entries)
        assert head.balance == book.available + head.held + book.pending - head.debt
        assert head.balance == sum(lot.remaining for lot in book.lots.values()) + head.held - head.debt
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert head.held == sum(hold.points for hold in book.holds.values())
        assert min(book.available, book.pending, head.held, head.debt) >= 0
        assert not (head.debt and book.lots), "debt is repaid by what is there"

    @invariant()
    def no_lot_is_used_beyond_its_points_or_outside_of_its_life(self) -> None:
        if not hasattr(self, "book"):
            return
        used: dict[int, int] = {}
        for use in self.journal.uses:
            used[use.lot] = used.get(use.lot, 0) + use.points
        expired: set[int] = set()
        lots = {lot.lot: lot for lot in self.journal.lots}
        for use in self.journal.uses:
            lot = lots[use.lot]
            if use.purpose in ("redeem", "hold", "adjust"):
                assert lot.spendable_from <= use.recorded_at
                assert lot.expires_at is None or use.recorded_at < lot.expires_at
            if use.purpose == "expire":
                assert use.lot not in expired
                expired.add(use.lot)
        for lot in self.journal.lots:
            left = self.book.lots[lot.lot].remaining if lot.lot in self.book.lots else 0
            assert lot.points - used.get(lot.lot, 0) == left

    @invariant()
    def nothing_that_is_due_is_left_and_the_bound_is_never_late(self) -> None:
        if not hasattr(self, "book"):
            return
        ends = [self.ends(lot) for lot in self.book.lots.values()] + [
            hold.until for hold in self.book.holds.values()
        ]
        assert all(end > self.book.recorded_at for end in ends)
        due_at = self.book.head_row().due_at
        assert min(ends, default=NEVER) == NEVER or (due_at is not None and due_at <= min(ends))


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
test_books = Books.TestCase
