"""Points into money and back: redemptions, holds and their endings, reversals; and adjustments by hand."""

from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any

from loyalty.program.model import Program
from loyalty.types import Adjustment, Capture, Purchase, Redemption, Release, Reversal

from .model_account import Account
from .model_state import ANY, Refused, State
from .model_values import Lot, Redeemed, life


class Redeeming(State):
    def allowed(
        self,
        account: Account,
        program: Program,
        points: int | None,
        amount: int | None,
        basket: int | None,
        spendable: int,
    ) -> tuple[int, int]:
        """The points of a redemption and what they are worth; refused if the program or the account says no."""
        policy = program.redemption
        if policy is None:
            raise Refused("redemption-not-allowed", max_points=0)
        most = spendable
        if basket is not None:
            share = floor(basket * policy.max_basket_share)
            most = min(most, share * policy.points // policy.amount)
        most = max(0, most // policy.step_points * policy.step_points)
        if most < policy.min_points or most * policy.amount < policy.points:
            most = 0
        if points is None:
            assert amount is not None
            exact = Fraction(amount * policy.points, policy.amount)
            if exact.denominator != 1 or exact.numerator % policy.step_points:
                raise Refused("redemption-not-allowed", rule="step_points", max_points=most)
            points = exact.numerator
        worth = points * policy.amount // policy.points
        share_broken = basket is not None and Fraction(points * policy.amount, policy.points) > floor(
            basket * policy.max_basket_share
        )
        if points % policy.step_points or points < policy.min_points or share_broken or worth < 1:
            raise Refused("redemption-not-allowed", max_points=most)
        if points > spendable:
            raise Refused("insufficient-points", available=spendable, missing=points - spendable)
        return points, worth

    def redeem(self, request: Redemption) -> dict[str, Any]:
        account = self.member(request.member)
        account.post_due(self.now)
        if account.blocked:
            raise Refused("member-blocked")
        if (request.points is None) == (request.amount is None):
            raise Refused("invalid-request")
        if request.redemption_id in self.redemptions:
            raise Refused("id-conflict")
        program = self.version_at(self.now)[1]
        points, worth = self.allowed(
            account,
            program,
            request.points,
            request.amount,
            request.basket_amount,
            account.available(self.now),
        )
        redeemed = self.spend(account, request.redemption_id, points, worth, self.now)
        answer: dict[str, Any] = {
            "redemption_id": request.redemption_id,
            "member_id": account.member_id,
            "status": "captured",
            "points": points,
            "amount": worth,
        }
        if request.hold:
            redeemed.is_hold = True
            redeemed.until = self.now + timedelta(seconds=request.hold_seconds)
            account.hold(redeemed)
            answer |= {"status": "held", "until": redeemed.until}
        else:
            account.enter("redeem", -points)
        return {**answer, "balance": account.balance(self.now)}

    def spend(self, account: Account, redemption_id: str, points: int, worth: int, at: datetime) -> Redeemed:
        account.begin(at, self.now, redemption_id=redemption_id)
        redeemed = Redeemed(redemption_id, account, points, worth, account.take(points, self.now))
        account.activity(at)
        self.redemptions[redemption_id] = redeemed
        return redeemed

    def redeem_in_basket(self, account: Account, request: Purchase, program: Program, total: int) -> Redeemed:
        wanted = request.redemption
        assert wanted is not None
        if account.blocked:
            raise Refused("member-blocked")
        if (wanted.points is None) == (wanted.amount is None):
            raise Refused("invalid-request")
        known = self.redemptions.get(wanted.redemption_id)
        if known is None:
            points, worth = self.allowed(
                account, program, wanted.points, wanted.amount, total, account.available(self.now)
            )
            redeemed = self.spend(account, wanted.redemption_id, points, worth, request.occurred_at)
            account.enter("redeem", -points)
        else:
            if known.account is not account or not known.is_hold:
                raise Refused("id-conflict")
            if known.ending is not None:
                raise Refused("hold-ended")
            points, worth = self.allowed(
                account,
                program,
                wanted.points,
                wanted.amount,
                total,
                account.available(self.now) + known.points,
            )
            if points > known.points:
                raise Refused("insufficient-points", available=known.points, missing=points - known.points)
            redeemed = known
            account.begin(self.now, self.now, redemption_id=known.redemption_id)
            account.activity(self.now)
            redeemed.repaid_in_basket = self.capture_hold(known, points, worth)
            redeemed.ending = ("captured", points)
            redeemed.ended_answer = self.ended(known, "captured", points, worth)
        redeemed.captured_amount = worth
        return redeemed

    def capture_hold(self, hold: Redeemed, points: int, worth: int) -> int:
        """Spends part of a hold and gives the rest back, last used first. Returns the debt repaid."""
        account = hold.account
        account.end_hold(hold)
        account.enter("redeem", -points)
        rest = hold.points - points
        hold.captured, hold.captured_amount, hold.skip = points, worth, rest
        return account.give_back(hold.uses, 0, rest, self.now)

    def end_hold(self, request: Capture | Release) -> tuple[dict[str, Any], bool]:
        hold = self.redemptions.get(request.redemption_id)
        if hold is None:
            raise Refused("unknown-redemption")
        account = hold.account
        account.post_due(self.now)
        ending = ("released", None) if isinstance(request, Release) else ("captured", request.points)
        if not hold.is_hold:
            raise Refused("hold-ended")
        if hold.ending is not None:
            if hold.ended_answer is not None and (
                hold.ending == ending
                or (
                    ending[0] == "captured"
                    and hold.ending[0] == "captured"
                    and (ending[1] or hold.points) == (hold.ending[1] or hold.points)
                )
            ):
                return hold.ended_answer, True
            raise Refused("hold-ended")
        if isinstance(request, Capture):
            points = hold.points if request.points is None else request.points
            if points > hold.points:
                raise Refused("insufficient-points", available=hold.points, missing=points - hold.points)
            worth = hold.amount * points // hold.points
            account.begin(self.now, self.now, redemption_id=hold.redemption_id)
            account.activity(self.now)
            self.capture_hold(hold, points, worth)
            status = "captured"
        else:
            account.begin(self.now, self.now, redemption_id=hold.redemption_id)
            account.end_hold(hold)
            account.give_back(hold.uses, 0, hold.points, self.now)
            points, worth, status = hold.points, hold.amount, "released"
        hold.ending = ending
        hold.ended_answer = self.ended(hold, status, points, worth)
        return hold.ended_answer, False

    def ended(self, hold: Redeemed, status: str, points: int, worth: int) -> dict[str, Any]:
        return {
            "redemption_id": hold.redemption_id,
            "member_id": hold.account.member_id,
            "status": status,
            "points": points if status == "captured" else ANY,
            "amount": worth if status == "captured" else ANY,
            "balance": hold.account.balance(self.now),
        }

    def reverse_rest(self, request: Reversal) -> tuple[dict[str, Any], bool]:
        redeemed = self.redemptions.get(request.redemption_id)
        if redeemed is not None and redeemed.reversed_whole is not None and request.points is None:
            return redeemed.reversed_whole, True
        if request.points is not None:
            raise Refused("invalid-request")
        answer = self.reverse(request)
        assert redeemed is not None
        redeemed.reversed_whole = answer
        return answer, False

    def reverse(self, request: Reversal) -> dict[str, Any]:
        redeemed = self.redemptions.get(request.redemption_id)
        if redeemed is None:
            raise Refused("unknown-redemption")
        account = redeemed.account
        account.post_due(self.now)
        if redeemed.is_hold and (redeemed.ending is None or redeemed.ending[0] in ("released", "timed_out")):
            raise Refused("hold-ended")
        left = redeemed.captured - redeemed.given_back
        points = left if request.points is None else request.points
        if points > left or left == 0:
            raise Refused("insufficient-points", available=left, missing=max(0, points - left))
        account.begin(self.now, self.now, redemption_id=redeemed.redemption_id)
        self.restore(account, redeemed, points)
        self.forfeit_of_nobody(account)
        return {
            "redemption_id": request.redemption_id,
            "member_id": account.member_id,
            "points": points,
            "amount": ANY,
            "balance": account.balance(self.now),
        }

    def restore(self, account: Account, redeemed: Redeemed, points: int) -> int:
        account.enter("restore", points)
        repaid = account.give_back(redeemed.uses, redeemed.skip + redeemed.given_back, points, self.now)
        redeemed.given_back += points
        return repaid

    def adjust(self, request: Adjustment) -> dict[str, Any]:
        account = self.member(request.member)
        account.post_due(self.now)
        if not request.points:
            raise Refused("invalid-request")
        program = self.version_at(self.now)[1]
        if request.points < 0:
            available = account.available(self.now)
            if -request.points > available:
                raise Refused("insufficient-points", available=available, missing=-request.points - available)
            account.begin(self.now, self.now, adjustment_id=request.adjustment_id)
            account.take(-request.points, self.now)
            account.enter("adjust", request.points)
        else:
            expires_at, idle = life(program, self.now)
            if request.expires_at is not None:
                expires_at, idle = request.expires_at, False
            lot = Lot(len(account.lots) + 1, request.points, self.now, self.now, expires_at, idle, None)
            if account.end(lot) <= self.now:
                raise Refused("invalid-request")
            account.begin(self.now, self.now, adjustment_id=request.adjustment_id)
            account.enter("adjust", request.points)
            account.grant(lot, self.now)
        return {
            "adjustment_id": request.adjustment_id,
            "member_id": account.member_id,
            "points": request.points,
            "reason": request.reason,
            "balance": account.balance(self.now),
            "recorded_at": self.now,
        }
