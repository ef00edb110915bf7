"""The moves of points that are allowed on an account. Each keeps `balance = available + held + pending - debt`."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

from loyalty.ledger.account import Account
from loyalty.ledger.life import Life
from loyalty.ledger.rows import EndedHold, HoldRow, TierRow
from loyalty.ledger.state import Estate, Hold, OpenLot, UsedLot


class Book(Account):
    """One account's books. Every move happens inside a posting: `begin`, moves, `close`."""

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
        hold = Hold(redemption_id, self.head.number, points, until, self._take(points, "hold"))
        self._activity(self._under_way().occurred_at)
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

        def rank(lot: OpenLot) -> tuple[int, tuple[datetime, datetime, int]]:
            if purchase_id is None or lot.purchase_id != purchase_id:
                return 2, self._spend_order(lot)
            return int(lot.spendable_from <= self.recorded_at), self._spend_order(lot)

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
        """All points that die at the instant `at` (idle ones included), as one entry, lots in their order. Returns how
        many."""
        dead = [lot for lot in self.lots.values() if self.end_of(lot) == at]
        return self._expire(sorted(dead, key=attrgetter("lot")), at)

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
        lots = sorted(self.lots.values(), key=self._spend_order)
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
            paying = sorted((lot for lot in self.lots.values() if lot.lot not in kept), key=self._spend_order)
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
            self._use(lot, lot.remaining, "forfeit")
        head.debt = 0
        return points
