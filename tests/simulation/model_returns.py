"""Goods that come back, of a known purchase or not."""

from fractions import Fraction
from math import floor
from typing import Any

from loyalty.types import Return, ReturnLine, UnlinkedReturn

from . import model_tiers as tiers
from .model_purchases import Buying
from .model_rules import Goods, judge, judge_unlinked
from .model_state import AHEAD, Bought, Refused, goods, numbered


class Returning(Buying):
    def take_return(self, request: Return) -> dict[str, Any]:
        bought = self.bought.get(request.purchase_id)
        if bought is None:  # which of two reasons is told is open
            late = request.occurred_at > self.now + AHEAD
            raise Refused("unknown-purchase", *(("future-time",) if late else ()))
        self.check_time(request.occurred_at)
        account = bought.account
        account.post_due(self.now)
        if request.occurred_at < bought.request.occurred_at:
            raise Refused("return-not-allowed")
        amounts, quantities = dict(bought.amount_back), dict(bought.quantity_back)
        asked = request.lines
        if asked is None:
            if all(
                amounts[n] == one.amount and quantities[n] == one.quantity for n, one in bought.lines.items()
            ):
                raise Refused("return-exceeds-purchase")
            for n, line in bought.lines.items():
                amounts[n], quantities[n] = line.amount, Fraction(line.quantity)
        else:
            for part in asked:
                self.take_line(bought, part, amounts, quantities)
        program = self.programs[bought.version - 1][1]
        kept = [
            Goods(
                n,
                line.sku,
                line.amount - amounts[n],
                Fraction(line.quantity) - quantities[n],
                line.category,
                line.tags,
            )
            for n, line in bought.lines.items()
            if line.amount > amounts[n] or line.quantity > quantities[n] or not (line.amount or line.quantity)
        ]
        whole = all(
            amounts[n] == one.amount and quantities[n] == one.quantity for n, one in bought.lines.items()
        )
        if whole:
            kept = []
        award = judge(program, kept, bought.facts)
        returned = sum(amounts.values())
        was_kept = bought.kept
        tier_before = account.current(program).tier
        # the points that paid for the goods come back first
        account.begin(
            request.occurred_at, self.now, return_id=request.return_id, purchase_id=request.purchase_id
        )
        restored = repaid = 0
        redeemed = bought.redeemed
        paid_amount = redeemed.captured_amount if redeemed else 0
        if redeemed is not None:
            so_far = redeemed.captured if whole else redeemed.captured * returned // (bought.total or 1)
            restored = max(0, min(so_far - bought.restored, redeemed.captured - redeemed.given_back))
            bought.restored = max(so_far, bought.restored)
            repaid = self.restore(account, redeemed, restored)
        so_far = bought.total - paid_amount
        if not whole:
            so_far = so_far * returned // (bought.total or 1)
        refund, bought.refunded = so_far - bought.refunded, so_far
        # then what the goods earned is taken back
        bought.kept = min(was_kept, award.points)
        today = self.version_at(self.now)[1]
        forgive = account.erased or today.points.shortfall == "forgive"
        clawed, debt = account.claw_back(was_kept - bought.kept, request.purchase_id, forgive, self.now)
        # A return gives use of limits and budgets back; what then won in a group never takes any.
        charges = {name: min(points, award.charges.get(name, 0)) for name, points in bought.charges.items()}
        charges = {name: points for name, points in charges.items() if points}
        self.charge(account, program, bought.facts, bought.charges, charges)
        bought.charges = charges
        metric = floor(award.base)
        less, bought.base = metric - bought.base, metric
        if less:
            goods_back = tiers.Row(bought.request.occurred_at, less)
            account.add_row(goods_back)
            change = tiers.on_return(
                today, account.current(today), account.rows, goods_back, request.occurred_at
            )
            if change is not None:
                account.change(today, change)
                account.judge(self.now)
        if whole and not bought.gone:
            account.purchases -= 1
        bought.gone = whole
        bought.amount_back, bought.quantity_back = amounts, quantities
        tier = account.current(program).tier
        self.forfeit_of_nobody(account)
        return {
            "return_id": request.return_id,
            "purchase_id": request.purchase_id,
            "member_id": account.member_id,
            "points_clawed_back": clawed,
            "points_restored": restored,
            "debt_added": debt,
            "debt_repaid": repaid,
            "refund_amount": refund,
            "balance": account.balance(self.now),
            "tier": {"tier": tier} | ({"previous": tier_before} if tier != tier_before else {}),
            "recorded_at": self.now,
        }

    @staticmethod
    def take_line(
        bought: Bought, part: ReturnLine, amounts: dict[int, int], quantities: dict[int, Fraction]
    ) -> None:
        n = part.line
        if n not in bought.lines:
            raise Refused("return-exceeds-purchase")
        line = bought.lines[n]
        whole = Fraction(line.quantity)
        left_quantity, left_amount = whole - quantities[n], line.amount - amounts[n]
        if part.quantity is None and part.amount is None:
            quantity, amount = left_quantity, left_amount
            if not quantity and not amount:
                raise Refused("return-exceeds-purchase")
        elif part.amount is None:
            quantity = Fraction(part.quantity or 0)
            if quantity > left_quantity:
                raise Refused("return-exceeds-purchase")
            amount = left_amount
            if quantity < left_quantity:  # floored cumulatively
                amount = max(0, floor(line.amount * (quantities[n] + quantity) / whole) - amounts[n])
                amount = min(amount, left_amount)
        elif part.quantity is None:
            amount = part.amount
            if amount > left_amount:
                raise Refused("return-exceeds-purchase")
            quantity = left_quantity
            if amount < left_amount:
                quantity = min(whole * Fraction(amount, line.amount), left_quantity)
        else:
            quantity, amount = Fraction(part.quantity), part.amount
        if quantity > left_quantity or amount > left_amount:
            raise Refused("return-exceeds-purchase")
        if not quantity and not amount:
            raise Refused("invalid-request")
        amounts[n] += amount
        quantities[n] += quantity

    def unlinked(self, request: UnlinkedReturn) -> dict[str, Any]:
        account = self.member(request.member)
        self.check_time(request.occurred_at)
        account.post_due(self.now)
        version, program = self.version_at(request.occurred_at)
        if program.points.unlinked_returns == "refuse":
            raise Refused("return-not-allowed")
        lines = numbered(request.lines)
        award = judge_unlinked(program, goods(lines), request.occurred_at)
        before = account.current(program).tier
        account.begin(request.occurred_at, self.now, return_id=request.return_id)
        forgive = program.points.shortfall == "forgive"
        clawed, debt = account.claw_back(award.points, None, forgive, self.now)
        metric = floor(award.base)
        if metric:
            row = tiers.Row(request.occurred_at, -metric)
            account.add_row(row)
            change = tiers.on_return(
                program, account.current(program), account.rows, row, request.occurred_at
            )
            if change is not None:
                account.change(program, change)
                account.judge(self.now)
        after = account.current(program).tier
        return {
            "return_id": request.return_id,
            "member_id": account.member_id,
            "points_clawed_back": clawed,
            "points_restored": 0,
            "debt_added": debt,
            "debt_repaid": 0,
            "refund_amount": sum(line.amount for line in lines),
            "balance": account.balance(self.now),
            "tier": {"tier": after} | ({"previous": before} if after != before else {}),
            "program_version": version,
            "recorded_at": self.now,
        }
