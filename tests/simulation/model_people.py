"""Members who are merged or erased, from DESIGN.md section 4 and docs/decisions/tiers-and-time.md, "Merges"."""

from datetime import date, datetime

from loyalty.program.model import Program

from . import model_tiers as tiers
from .model_account import Account
from .model_returns import Returning
from .model_state import ANY, Refused
from .model_values import NEVER, Counted, Lot


class People(Returning):
    def own(self, *names: str) -> set[str]:
        """The members with an account of their own that some names mean, or meant when they enrolled."""
        return {self.names.get(name, name) for name in names} & self.members.keys()

    def set_status(self, member: str, status: str) -> str:
        account = self.member(member)
        account.blocked = status == "blocked"
        return account.member_id

    def set_birthday(self, member: str, birthday: date | None) -> str:
        account = self.member(member)
        account.birthday = birthday
        return account.member_id

    def merge(self, member: str, into: str) -> str:
        """Returns the member_id that stays. Names mean whom they mean after the merges before."""
        old, new = self.member(member), self.member(into)
        if old is new:
            if member == new.member_id:
                raise Refused("merge-conflict")
            return new.member_id
        if member in self.members and self.members[member] is not old:
            raise Refused("merge-conflict")
        for account in (old, new):
            account.post_due(self.now)
        for account in (old, new):
            account.begin(self.now, self.now)
        program = self.version_at(self.now)[1]
        self.merge_points(old, new)
        self.merge_tiers(program, old, new)
        for key, (times, points) in old.used.items():
            used = new.used.setdefault(key, [0, 0])
            used[0] += times
            used[1] += points
        new.purchases += old.purchases
        new.blocked = new.blocked or old.blocked
        new.birthday = new.birthday or old.birthday
        new.pins = old.pins | new.pins
        for name, owner in self.names.items():
            if owner == old.member_id:
                self.names[name] = new.member_id
        for things in (self.bought, self.redemptions, self.claims, self.answers):
            for thing in things.values():
                if thing.account is old:
                    thing.account = new
        new.post_due(self.now)
        return new.member_id

    def merge_points(self, old: Account, new: Account) -> None:
        """Points by entries out and in, lots with their lives; debts of either are paid from the lots of both."""
        points = old.balance(self.now)["balance"]
        old.enter("merge", -points)
        new.enter("merge", points)
        lots, debt = old.open_lots(), old.debt
        old.debt = 0
        if old.active_at is not None:
            new.activity(old.active_at)
        for lot in lots:
            there = Lot(
                len(new.lots) + 1,
                lot.left,
                lot.earned_at,
                lot.spendable_from,
                lot.expires_at,
                lot.idle,
                lot.purchase_id,
            )
            old.use(lot, lot.left)
            there.born_at, there.born_known = self.now, new.known
            new.lots.append(there)
        for hold in list(old.holds):
            old.end_hold(hold)
            hold.account = new
            new.hold(hold)
        new.debt += debt
        for lot in new.open_lots():
            paid = min(lot.left, new.debt)
            new.debt -= paid
            new.use(lot, paid)

    def merge_tiers(self, program: Program, old: Account, new: Account) -> None:
        """The higher tier stays, of equals the one valid longer; the purchases of both count from now on."""
        for row in old.rows:
            new.rows.append(row)
            new.all_rows.append(Counted(row, self.now, self.now))
        comes, stays = old.current(program), new.current(program)

        def worth(standing: tiers.Standing) -> tuple[int, datetime]:
            return tiers.rank(program, standing.tier), standing.valid_until or NEVER

        old.standing = None
        kept = comes if worth(comes) > worth(stays) else stays
        new.change(
            program,
            tiers.Change(
                self.now,
                kept.tier,
                "merge",
                kept.since,
                kept.valid_until,
                kept.verdict_at,
                kept.ground_at,
            ),
        )

    def erase(self, member: str) -> int:
        """Holds are released, what remains is forfeited by an entry, and nobody bears the names any more."""
        account = self.member(member)
        account.post_due(self.now)
        self.cancel_all(account)
        for hold in sorted(account.holds, key=lambda one: one.redemption_id):
            account.begin(self.now, self.now, redemption_id=hold.redemption_id)
            account.end_hold(hold)
            account.give_back(hold.uses, 0, hold.points, self.now)
            hold.ending = ("released", None)
            hold.ended_answer = self.ended(hold, "released", 0, 0) | {"balance": ANY}
        account.begin(self.now, self.now)
        forfeited = sum(lot.left for lot in account.lots)
        account.erased = True
        self.forfeit_of_nobody(account)
        for name in [name for name, owner in self.names.items() if owner == account.member_id]:
            del self.names[name]
        return forfeited
