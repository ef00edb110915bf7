"""Purchases: what they redeem, earn and count for."""

from datetime import datetime
from fractions import Fraction
from math import floor
from typing import Any

from loyalty.calendar import calendar_of
from loyalty.program.model import Program
from loyalty.types import Purchase

from .model_account import Account
from .model_rewards import Rewarding
from .model_rules import Award, Facts, Used, birthday_years, exact_text, is_counted, judge
from .model_state import Bought, Refused, goods, numbered
from .model_values import Lot, life


class Buying(Rewarding):
    def used(self, account: Account, at: datetime, program: Program) -> dict[str, Used]:
        """How far limited rules were used before, for something that occurred at `at`."""
        day = calendar_of(program.time_zone).day(at)
        used = {}
        for rule in program.rules:
            if is_counted(rule):
                times, points = account.used.get((rule.id, None), [0, 0])
                times_day = account.used.get((rule.id, day), [0, 0])[0]
                used[rule.id] = Used(times, times_day, points, self.budgets.get(rule.id, 0))
        return used

    def facts(self, account: Account, request: Purchase, program: Program, paid: Fraction) -> Facts:
        day = calendar_of(program.time_zone).day(request.occurred_at)
        return Facts(
            occurred_at=request.occurred_at,
            channel=request.channel,
            store=request.store,
            tier=account.tier_at(program, request.occurred_at),
            first_purchase=account.purchases == 0,
            birthday=frozenset(birthday_years(account.birthday, account.pins, day)),
            paid=paid,
            used=self.used(account, request.occurred_at, program),
        )

    def charge(
        self, account: Account, program: Program, facts: Facts, old: dict[str, int], new: dict[str, int]
    ) -> None:
        """What is used of limits and budgets changes from `old` to `new`."""
        day = calendar_of(program.time_zone).day(facts.occurred_at)
        for name in old.keys() | new.keys():
            points = new.get(name, 0) - old.get(name, 0)
            times = (name in new) - (name in old)
            for key in ((name, None), (name, day)):
                used = account.used.setdefault(key, [0, 0])
                used[0] += times
                used[1] += points
            self.budgets[name] = self.budgets.get(name, 0) + points

    def pin(self, account: Account, program: Program, at: datetime, award: Award) -> None:
        """The first award of a year pins that year's birthday."""
        asked = {
            rule.when.birthday for rule in program.rules if rule.when is not None and rule.id in award.shares
        }
        day = calendar_of(program.time_zone).day(at)
        for match, year in birthday_years(account.birthday, account.pins, day).items():
            if match in asked and account.birthday is not None:
                account.pins.setdefault(year, account.birthday)

    def purchase(self, request: Purchase) -> dict[str, Any]:
        account = self.member(request.member)
        if request.redemption is not None:  # ids are looked up first
            known = self.redemptions.get(request.redemption.redemption_id)
            if known is not None and known.account is not account:
                raise Refused("id-conflict")
        self.check_time(request.occurred_at)
        account.post_due(self.now)
        version, program = self.version_at(request.occurred_at)
        lines = numbered(request.lines)
        total = sum(line.amount for line in lines)
        redeemed, paid = None, Fraction(1)
        before = account.current(program).tier
        if request.redemption is not None:
            redeemed = self.redeem_in_basket(account, request, program, total)
            paid = Fraction(total - redeemed.captured_amount, total) if total else Fraction(1)
        facts = self.facts(account, request, program, paid)
        award = judge(program, goods(lines), facts)
        bought = Bought(account, request, version, facts, award)
        bought.redeemed = redeemed
        self.bought[request.purchase_id] = bought
        account.begin(request.occurred_at, self.now, purchase_id=request.purchase_id)
        repaid, pending, lots = self.earn(
            account, request.occurred_at, request.purchase_id, program, award.points
        )
        self.charge(account, program, facts, {}, award.charges)
        self.pin(account, program, request.occurred_at, award)
        account.purchases += 1
        account.count(program, request.occurred_at, floor(award.base), self.now)
        after = account.current(program).tier
        explain = [
            (rule, line, exact_text(part))
            for rule, parts in award.shares.items()
            for line, part in parts.items()
        ]
        return {
            "purchase_id": request.purchase_id,
            "member_id": account.member_id,
            "points_earned": award.points,
            "points_pending": pending,
            "points_redeemed": redeemed.captured if redeemed else 0,
            "debt_repaid": repaid + (redeemed.repaid_in_basket if redeemed else 0),
            "lots": lots,
            "explain": explain,
            "rounding": exact_text(award.total - award.points),
            "balance": account.balance(self.now),
            "tier": {"tier": after} | ({"previous": before} if after != before else {}),
            "program_version": version,
            "recorded_at": self.now,
        }

    def earn(
        self, account: Account, at: datetime, purchase_id: str | None, program: Program, points: int
    ) -> tuple[int, int, list[tuple[int, datetime, datetime | None]]]:
        if not points:
            return 0, 0, []
        calendar = calendar_of(program.time_zone)
        account.activity(at)
        spendable_from = calendar.add_days(at, program.points.pending_days)
        lot = self.new_lot(account, program, points, at, spendable_from)
        lot.purchase_id = purchase_id
        account.enter("earn", points)
        repaid = account.grant(lot, self.now)
        pending = lot.left if spendable_from > self.now else 0
        end = account.end(lot)
        return repaid, pending, [(points, spendable_from, None if end.year == 9999 else end)]

    def new_lot(
        self, account: Account, program: Program, points: int, earned_at: datetime, spendable_from: datetime
    ) -> Lot:
        """A lot with the program's life; one dead on arrival gets the grace for late arrivals, if there is one."""
        expires_at, idle = life(program, spendable_from)
        lot = Lot(len(account.lots) + 1, points, earned_at, spendable_from, expires_at, idle, None)
        if account.end(lot) <= self.now and program.points.late_grace_days:
            calendar = calendar_of(program.time_zone)
            lot.idle, lot.expires_at = False, calendar.add_days(self.now, program.points.late_grace_days)
        return lot
