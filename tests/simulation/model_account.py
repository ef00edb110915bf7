"""One account's books, from DESIGN.md sections 3 and 4, as lists that are walked: lots, holds, entries, tier.

Nothing is cached: balances are added up whenever they are asked for.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from loyalty.calendar import END_OF_TIME, calendar_of, just_before
from loyalty.program.model import ExpireInactivity, Program

from . import model_tiers as tiers
from .model_values import NEVER, START_OF_TIME, Counted, Held, Lot, Redeemed, Uses

Versions = Callable[[datetime], tuple[int, Program]]


class Account:
    def __init__(
        self,
        member_id: str,
        enrolled_at: datetime,
        birthday: date | None,
        versions: Versions,
        programs: list[tuple[datetime, Program]],
    ) -> None:
        self.member_id, self.enrolled_at, self.birthday = member_id, enrolled_at, birthday
        self.pins: dict[int, date] = {}
        self.versions, self.programs = versions, programs
        self.blocked = self.erased = False
        self.lots: list[Lot] = []
        self.holds: list[Redeemed] = []
        self.debt = 0
        self.active_at: datetime | None = None
        self.entries: list[dict[str, Any]] = []
        self.posting: dict[str, Any] = {}
        self.known = self.recorded = START_OF_TIME
        """From when the posting under way is known; when the last request was recorded."""
        self.purchases = 0
        self.used: dict[tuple[str, date | None], list[int]] = {}
        self.rows: list[tiers.Row] = []
        self.changes: list[tiers.Change] = []
        self.standing: tiers.Standing | None = None
        # For the past: everything again, with both of its instants.
        self.all_holds: list[Held] = []
        self.all_rows: list[Counted] = []
        self.all_changes: list[Counted] = []
        self.activities: list[tuple[datetime, datetime, datetime]] = []

    # -- what is there ---------------------------------------------------------------------------------------------

    def idle_deadline(self, lot: Lot) -> datetime:
        """When idle points die: by the last version with such points at the last activity (before any: when they were
        earned), else the first one."""
        at = self.active_at or lot.earned_at
        idle = [
            (since, n)
            for n, (since, one) in enumerate(self.programs)
            if one.points.expiry.__class__ is ExpireInactivity
        ]
        if not idle:
            return NEVER
        _, n = max((one for one in idle if one[0] <= at), default=min(idle))
        program = self.programs[n][1]
        assert isinstance(program.points.expiry, ExpireInactivity)
        end = calendar_of(program.time_zone).add(at, program.points.expiry.period)
        return NEVER if end >= END_OF_TIME else end

    def end(self, lot: Lot) -> datetime:
        if lot.idle:
            return self.idle_deadline(lot)
        return lot.expires_at or NEVER

    def open_lots(self) -> list[Lot]:
        """In the order in which they are spent: soonest to expire, then earliest earned."""
        return sorted(
            (lot for lot in self.lots if lot.left), key=lambda lot: (self.end(lot), lot.earned_at, lot.number)
        )

    def available(self, now: datetime) -> int:
        return sum(lot.left for lot in self.lots if lot.spendable_from <= now)

    def balance(self, now: datetime) -> dict[str, int]:
        available = self.available(now)
        pending = sum(lot.left for lot in self.lots) - available
        held = sum(hold.points for hold in self.holds)
        balance = available + held + pending - self.debt
        assert balance == sum(entry["points"] for entry in self.entries), (balance, self.entries)
        return {
            "balance": balance,
            "available": available,
            "held": held,
            "pending": pending,
            "debt": self.debt,
        }

    # -- moves -----------------------------------------------------------------------------------------------------

    def begin(self, occurred_at: datetime, now: datetime | None, **ids: str) -> None:
        """A posting; when what is due is recorded depends on who looks first."""
        self.posting = {"occurred_at": occurred_at, **ids} | ({"recorded_at": now} if now else {})
        self.recorded = now or self.recorded
        # What was due counts as known from then, or from what made it due.
        self.known = now or max(occurred_at, self.recorded)

    def enter(self, kind: str, points: int, at: datetime | None = None, end: datetime | None = None) -> None:
        """An entry of the posting under way: one of each kind, and one expiry for each end that lots had."""
        if not points:
            return
        for entry in self.entries[-20:]:
            if entry["posting"] is self.posting and entry["kind"] == kind and entry["end"] == end:
                entry["points"] += points
                return
        at = at or self.posting["occurred_at"]
        self.entries.append(
            {
                "posting": self.posting,
                "kind": kind,
                "points": points,
                "at": at,
                "end": end,
                "known": self.known,
            }
        )

    def activity(self, at: datetime) -> None:
        self.active_at = at if self.active_at is None else max(at, self.active_at)
        self.activities.append((at, self.posting["occurred_at"], self.known))

    def use(self, lot: Lot, points: int, at: datetime | None = None) -> None:
        """On the axis of what occurred, a use counts from the later of its own and its lot's time."""
        if points:
            lot.left -= points
            lot.uses.append((max(at or self.posting["occurred_at"], lot.born_at), self.known, points))

    def hold(self, redeemed: Redeemed) -> None:
        self.holds.append(redeemed)
        self.all_holds.append(Held(redeemed, self.posting["occurred_at"], self.known))

    def end_hold(self, redeemed: Redeemed) -> None:
        self.holds.remove(redeemed)
        held = self.all_holds[-1 - [one.redeemed for one in reversed(self.all_holds)].index(redeemed)]
        held.ended_at, held.ended_known = self.posting["occurred_at"], self.known

    def grant(self, lot: Lot, now: datetime, end: datetime | None = None, given_back: bool = False) -> int:
        """Points come in: debt is paid first, then what is dead already expires. Returns the debt repaid.

        end: when the points had died before they were given back.
        """
        self.lots.append(lot)
        lot.born_at, lot.born_known = self.posting["occurred_at"], self.known
        repaid = min(self.debt, lot.left)
        self.debt -= repaid
        self.use(lot, repaid)
        if self.end(lot) <= now:
            at = self.posting["occurred_at"] if given_back else self.end(lot)
            self.enter("expire", -lot.left, at, end or self.end(lot))
            self.use(lot, lot.left, at)
        return repaid

    def take(self, points: int, now: datetime) -> Uses:
        """Spends points that are there, soonest to expire first."""
        uses: Uses = []
        for lot in self.open_lots():
            if lot.spendable_from <= now and points:
                part = min(lot.left, points)
                self.use(lot, part)
                points -= part
                uses.append((lot, part))
        assert not points
        return uses

    def give_back(self, uses: Uses, skip: int, points: int, at: datetime) -> int:
        """Gives back `points` of what was used, last used first, behind `skip` others. Returns the debt repaid."""
        repaid = 0
        for lot, used in reversed(uses):
            passed = min(skip, used)
            skip -= passed
            part = min(used - passed, points)
            if not part:
                continue
            points -= part
            idle, expires_at = lot.idle, lot.expires_at
            if self.end(lot) <= at:
                program = self.versions(at)[1]
                idle, expires_at = False, at
                if program.points.restore_grace_days:
                    calendar = calendar_of(program.time_zone)
                    expires_at = calendar.add_days(at, program.points.restore_grace_days)
            back = Lot(
                len(self.lots) + 1, part, lot.earned_at, lot.spendable_from, expires_at, idle, lot.purchase_id
            )
            repaid += self.grant(back, at, lot.expires_at, given_back=True)
        assert not points
        return repaid

    def claw_back(
        self, points: int, purchase_id: str | None, forgive: bool, now: datetime
    ) -> tuple[int, int]:
        """Takes points of the purchase's own lots, then of others, then as debt. Returns all of it, and the debt."""
        own = [lot for lot in self.open_lots() if purchase_id is not None and lot.purchase_id == purchase_id]
        own.sort(key=lambda lot: lot.spendable_from <= now)
        others = [lot for lot in self.open_lots() if lot not in own]
        left = points
        for lot in own + others:
            part = min(lot.left, left)
            self.use(lot, part)
            left -= part
        debt = 0 if forgive else left
        self.debt += debt
        taken = points - left
        self.enter("clawback", -(taken + debt))
        return taken + debt, debt

    # -- what is due -----------------------------------------------------------------------------------------------

    def post_due(self, now: datetime) -> None:
        """Ended holds, expiries and verdicts, in the order in which they fell due."""
        while True:
            due: list[tuple[datetime, int, str, Any]] = []
            for hold in self.holds:
                assert hold.until is not None
                due.append((hold.until, 0, hold.redemption_id, hold))
            for lot in self.lots:
                if lot.left:
                    due.append((self.end(lot), 1, "", None))
            if self.standing is not None and self.standing.verdict_at is not None:
                due.append((self.standing.verdict_at, 2, "", None))
            due = [one for one in due if one[0] <= now]
            if not due:
                return
            at, what, _, hold = min(due, key=lambda one: one[:3])
            if what == 0:
                self.begin(at, None, redemption_id=hold.redemption_id)
                hold.ending = ("timed_out", None)
                self.end_hold(hold)
                self.give_back(hold.uses, 0, hold.points, at)
            elif what == 1:
                self.begin(at, None)
                self.enter("expire", -sum(lot.left for lot in self.lots if self.end(lot) == at))
                for lot in self.lots:
                    if self.end(lot) == at:
                        self.use(lot, lot.left)
            else:
                self.begin(at, None)
                self.judge(at)

    # -- the tier --------------------------------------------------------------------------------------------------

    def change(self, program: Program, change: tiers.Change) -> None:
        self.changes.append(change)
        self.all_changes.append(Counted(change, change.at, self.known))
        self.standing = tiers.after(program, self.current(program), change)

    def current(self, program: Program) -> tiers.Standing:
        return self.standing or tiers.Standing(program.tiers[0].id, self.enrolled_at)

    def tier_at(self, program: Program, at: datetime) -> str:
        """The tier that something at `at` is judged by: the one held now from its `since` on, else as the changes
        have it."""
        standing = self.current(program)
        return standing.tier if at >= standing.since else tiers.tier_at(program, self.changes, at)

    def add_row(self, row: tiers.Row) -> None:
        self.rows.append(row)
        self.all_rows.append(Counted(row, self.posting["occurred_at"], self.known))

    def count(self, program: Program, at: datetime, amount: int, now: datetime) -> None:
        """A purchase counts for the tier, and may promote. What was reached in the past may have ended since."""
        if not amount:
            return
        self.add_row(tiers.Row(at, amount))
        while True:
            for change in tiers.promotions(program, self.current(program), self.changes, self.rows, at):
                self.change(program, change)
            if not self.judge(now):
                return

    def judge(self, now: datetime) -> bool:
        """Each elapsed validity is decided in turn. Returns whether there was one."""
        judged = False
        while (
            self.standing is not None
            and self.standing.verdict_at is not None
            and self.standing.verdict_at <= now
        ):
            program = self.versions(self.standing.verdict_at)[1]
            self.change(program, tiers.verdict(program, self.standing, self.rows))
            judged = True
        return judged

    # -- reads -----------------------------------------------------------------------------------------------------

    def read_balance(self, now: datetime) -> dict[str, Any]:
        program = self.versions(now)[1]
        balance = self.balance(now)
        rate = program.redemption
        lots = [(lot.spendable_from, self.end(lot), lot.left) for lot in self.open_lots()]
        soon = now + timedelta(days=90)
        return {
            **balance,
            "member_id": self.member_id,
            "as_of": now,
            "amount": balance["available"] * rate.amount // rate.points if rate else 0,
            "lots": lots,
            "expiring": [(end, left) for _, end, left in lots if end <= soon],
            "holds": sorted((hold.redemption_id, hold.points, hold.until) for hold in self.holds),
            "tier": self.current(program).tier,
        }

    def read_tier(self, now: datetime) -> dict[str, Any]:
        program = self.versions(now)[1]
        standing = self.current(program)
        found = tiers.metric(program, self.rows, now)
        above = [tier for tier in program.tiers[tiers.rank(program, standing.tier) + 1 :] if tier.qualify]
        needed = None
        if above:
            asked = above[0].qualify
            assert asked is not None
            needed = {
                "tier": above[0].id,
                "spend_amount": None
                if asked.spend_amount is None
                else max(0, asked.spend_amount - found.spend),
                "visits": None if asked.visits is None else max(0, asked.visits - found.visits),
            }
        return {
            "tier": standing.tier,
            "since": standing.since,
            "valid_until": standing.valid_until,
            "qualifying": {"spend_amount": found.spend, "visits": found.visits, "from": found.start},
            "next": needed,
            "projected": self.projected(standing),
        }

    def projected(self, standing: tiers.Standing) -> dict[str, Any] | None:
        """What the next verdict would give, and what its window lacks if that is a fall."""
        if standing.verdict_at is None or standing.valid_until is None:
            return None
        program = self.versions(standing.verdict_at)[1]
        change = tiers.verdict(program, standing, self.rows)
        found = tiers.metric(program, self.rows, just_before(standing.valid_until))
        asked = program.tiers[tiers.rank(program, standing.tier)].qualify
        needed = None
        if change.reason == "review" and asked is not None:
            needed = {
                "tier": standing.tier,
                "spend_amount": asked.spend_amount and max(0, asked.spend_amount - found.spend),
                "visits": asked.visits and max(0, asked.visits - found.visits),
            }
        return {
            "tier": change.tier,
            "at": change.at,
            "reason": change.reason,
            "valid_until": change.valid_until,
            "window": {
                "spend_amount": found.spend,
                "visits": found.visits,
                "from": found.start,
                "until": standing.valid_until,
            },
            "needed": needed,
        }
