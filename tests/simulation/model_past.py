"""What an account was at an instant, as far as it was known at another (DESIGN.md section 3, promises 11 and 12)."""

from collections import Counter
from copy import copy
from datetime import datetime, timedelta
from typing import Any

from loyalty.calendar import calendar_of

from . import model_tiers as tiers
from .model_account import Account
from .model_people import People
from .model_values import Held

KINDS = {
    "earn": "issued",
    "clawback": "issued",
    "redeem": "redeemed",
    "restore": "redeemed",
    "expire": "expired",
    "adjust": "adjusted",
    "merge": "merged",
}


class Remembering(People):
    def instants(self, as_of: datetime | None, known_at: datetime | None) -> tuple[datetime, datetime]:
        """The past as known now, or the present as it was known."""
        return as_of or known_at or self.now, known_at or self.now

    def at(self, account: Account, as_of: datetime, known_at: datetime) -> Account:
        """The account from what occurred up to `as_of` and was known at `known_at`, with what was due by then."""

        def seen(at: datetime, known: datetime) -> bool:
            return at <= as_of and known <= known_at

        then = Account(
            account.member_id, account.enrolled_at, account.birthday, self.version_at, self.programs
        )
        for lot in account.lots:
            if seen(lot.born_at, lot.born_known):
                was = copy(lot)
                was.left = lot.points - sum(points for at, known, points in lot.uses if seen(at, known))
                was.uses = []
                then.lots.append(was)
        then.all_holds = [
            Held(copy(one.redeemed), one.at, one.known)
            for one in account.all_holds
            if seen(one.at, one.known) and not seen(one.ended_at, one.ended_known)
        ]
        then.holds = [one.redeemed for one in then.all_holds]
        then.entries = [one for one in account.entries if seen(one["at"], one["known"])]
        points = sum(one["points"] for one in then.entries)
        held = sum(hold.points for hold in then.holds)
        then.debt = sum(lot.left for lot in then.lots) + held - points
        active = [value for value, at, known in account.activities if seen(at, known)]
        then.active_at = max(active, default=None)
        then.rows = [one.row for one in account.all_rows if one.row.at <= as_of and seen(one.at, one.known)]
        then.changes = [one.row for one in account.all_changes if seen(one.at, one.known)]
        program = self.version_at(as_of)[1]
        for change in then.changes:
            then.standing = tiers.after(program, then.current(program), change)
        then.post_due(as_of)
        return then

    def past_balance(self, member: str, as_of: datetime | None, known_at: datetime | None) -> dict[str, Any]:
        at, known = self.instants(as_of, known_at)
        account = self.member(member)
        account.post_due(self.now)
        now = as_of is None and known_at is None
        return (account if now else self.at(account, at, known)).read_balance(at)

    def liability(self, as_of: datetime | None, known_at: datetime | None) -> dict[str, Any]:
        """What is owed to all, by tier and by the local month in which it ends."""
        now = as_of is None and known_at is None
        at, known = self.instants(as_of, known_at)
        program = self.version_at(at)[1]
        calendar = calendar_of(program.time_zone)
        by_tier: Counter[str] = Counter()
        by_month: Counter[str | None] = Counter()
        sums: Counter[str] = Counter()
        held = debt = 0
        for account in self.members.values():
            account.post_due(self.now)
            then = account if now else self.at(account, at, known)
            tier = then.current(program).tier
            for lot in then.open_lots():
                by_tier[tier] += lot.left
                month = None
                if lot.expires_at is not None:
                    month = calendar.day(lot.expires_at - timedelta(microseconds=1)).strftime("%Y-%m")
                by_month[month] += lot.left
            for hold in then.holds:
                by_tier[tier] += hold.points
                held += hold.points
            debt += then.debt
            for entry in then.entries:
                sums[KINDS[entry["kind"]]] += entry["points"]
        outstanding = sum(by_tier.values())
        return {
            "as_of": at,
            "outstanding": outstanding,
            "held": held,
            "debt": debt,
            "balance": outstanding - debt,
            "issued": sums["issued"],
            "redeemed": -sums["redeemed"],
            "expired": -sums["expired"],
            "adjusted": sums["adjusted"],
            "by_tier": sorted((tier, points) for tier, points in by_tier.items() if points),
            "by_expiry": sorted(((month, points) for month, points in by_month.items() if points), key=repr),
            "proven": True,
        }
