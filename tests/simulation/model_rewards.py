"""Rewards, from DESIGN.md section 4 and docs/REWARDS.md: claims, which give a voucher, their cancellation, its use."""

from datetime import date, datetime
from typing import Any

from loyalty.calendar import calendar_of, shift_days
from loyalty.rewards.model import RewardTerms
from loyalty.types import Cancellation, Claim

from .model_account import Account
from .model_redeem import Redeeming
from .model_state import ANY, Refused
from .model_values import Redeemed


class Claimed:
    """A claim with its voucher. `ending`: used or cancelled, and when."""

    def __init__(
        self, account: Account, claim: Claim, terms: RewardTerms, paid: Redeemed, until: datetime | None
    ) -> None:
        self.account, self.terms, self.paid, self.valid_until = account, terms, paid, until
        self.claim_id, self.reward_id = claim.claim_id, claim.reward_id
        self.ending = ""
        self.ended_answer: dict[str, Any] = {}
        self.use_id: str | None = None
        self.purchase_id: str | None = None

    def status(self, now: datetime) -> str:
        over = self.valid_until is not None and self.valid_until <= now
        return self.ending or ("expired" if over else "open")


class Rewarding(Redeeming):
    # -- the catalogue ---------------------------------------------------------------------------------------------

    def put_reward(self, reward_id: str, terms: RewardTerms) -> None:
        """The newest terms count from now on; the stock stays."""
        self.rewards[reward_id] = terms
        self.stock.setdefault(reward_id, 0)

    def move_stock(self, reward_id: str, stock_id: str, units: int) -> tuple[dict[str, Any], bool]:
        if reward_id not in self.rewards:
            raise Refused("unknown-reward")
        then = self.stock_moves.get(stock_id)
        if then is not None:
            if (then["reward_id"], then["units"]) != (reward_id, units):
                raise Refused("id-conflict")
            return then, True
        if self.stock[reward_id] + units < 0:
            raise Refused("out-of-stock", stock=self.stock[reward_id])
        self.stock[reward_id] += units
        moved = {"stock_id": stock_id, "reward_id": reward_id, "units": units, "stock": self.stock[reward_id]}
        self.stock_moves[stock_id] = moved
        return moved, False

    def rewards_of(self, member: str) -> list[tuple[str, int | None, bool]]:
        """What a member may claim today: units left, and whether the points are there."""
        account = self.member(member)
        account.post_due(self.now)
        tier, found = account.current(self.version_at(self.now)[1]).tier, []
        for reward_id, terms in self.rewards.items():
            left = None if terms.unlimited else self.stock[reward_id]
            if self.claimable(terms) and tier in (terms.tiers or (tier,)) and left != 0:
                found.append((reward_id, left, terms.points <= account.available(self.now)))
        return sorted(found)

    def today(self) -> date:
        return calendar_of(self.version_at(self.now)[1].time_zone).day(self.now)

    def claimable(self, terms: RewardTerms) -> bool:
        return (terms.from_ or date.min) <= self.today() < (terms.until or date.max)

    # -- claims ----------------------------------------------------------------------------------------------------

    def claim(self, request: Claim) -> dict[str, Any]:
        account = self.member(request.member)
        account.post_due(self.now)
        terms = self.rewards.get(request.reward_id)
        if terms is None:
            raise Refused("unknown-reward")
        self.may_claim(account, request.reward_id, terms)
        at, until = self.now, None
        if terms.valid_days is not None:
            calendar = calendar_of(self.version_at(at)[1].time_zone)
            until = calendar.day_start(shift_days(self.today(), terms.valid_days + 1))
        account.begin(at, at, claim_id=request.claim_id)
        paid = Redeemed(request.claim_id, account, terms.points, 0, account.take(terms.points, at))
        account.activity(at)
        account.enter("redeem", -terms.points)
        self.claims[request.claim_id] = Claimed(account, request, terms, paid, until)
        if not terms.unlimited:
            self.stock[request.reward_id] -= 1
        return {
            "claim_id": request.claim_id,
            "member_id": account.member_id,
            "reward_id": request.reward_id,
            "name": terms.name,
            "kind": terms.kind,
            "points": terms.points,
            "amount": terms.amount,
            "voucher": {"valid_until": until},
            "balance": account.balance(at),
            "recorded_at": at,
        }

    def may_claim(self, account: Account, reward_id: str, terms: RewardTerms) -> None:
        """Refuses; which of several reasons is told is open."""
        tier, available = account.current(self.version_at(self.now)[1]).tier, account.available(self.now)
        reasons: dict[str, dict[str, Any]] = {}
        if account.blocked:
            reasons["member-blocked"] = {}
        if not self.claimable(terms):
            reasons["reward-not-available"] = {}
        if terms.tiers and tier not in terms.tiers:
            reasons["reward-not-for-tier"] = {"tier": tier}
        if not terms.unlimited and self.stock[reward_id] == 0:
            reasons["out-of-stock"] = {"stock": 0}
        if terms.points > available:
            reasons["insufficient-points"] = {"available": available, "missing": terms.points - available}
        if reasons:
            first, *others = reasons
            raise Refused(first, *others, **(reasons[first] if not others else {}))

    def cancel(self, request: Cancellation) -> tuple[dict[str, Any], bool]:
        claimed = self.claims.get(request.claim_id)
        if claimed is None:
            raise Refused("unknown-claim")
        if claimed.ending == "cancelled":
            return claimed.ended_answer, True
        if claimed.ending == "used":
            raise Refused("voucher-used", use_id=claimed.use_id)
        claimed.account.post_due(self.now)
        return self.take_back(claimed), False

    def take_back(self, claimed: Claimed) -> dict[str, Any]:
        """The points go back to the lives that they had, the unit to the stock."""
        account, points = claimed.account, claimed.terms.points
        account.begin(self.now, self.now, claim_id=claimed.claim_id)
        self.restore(account, claimed.paid, points)
        if not claimed.terms.unlimited:
            self.stock[claimed.reward_id] += 1
        claimed.ending = "cancelled"
        claimed.ended_answer = {
            "claim_id": claimed.claim_id,
            "member_id": account.member_id,
            "reward_id": claimed.reward_id,
            "points": points,
            "balance": account.balance(self.now),
            "recorded_at": self.now,
        }
        return claimed.ended_answer

    def cancel_all(self, account: Account) -> None:
        """An erasure cancels the claims whose vouchers were not used, in any order."""
        for claimed in self.claims.values():
            if claimed.account is account and not claimed.ending:
                self.take_back(claimed)
                claimed.ended_answer["balance"] = ANY

    # -- vouchers --------------------------------------------------------------------------------------------------

    def use_voucher(self, claim_id: str, use_id: str, purchase_id: str | None) -> tuple[dict[str, Any], bool]:
        claimed = self.claims[claim_id]
        status, owner = claimed.status(self.now), self.uses.get(use_id)
        if owner not in (None, claim_id):
            raise Refused("id-conflict", *(("voucher-expired",) if status == "expired" else ()))
        if status in ("cancelled", "expired"):
            raise Refused(f"voucher-{status}")
        if status == "used":
            if owner is None:
                raise Refused("voucher-used", use_id=claimed.use_id)
            if claimed.purchase_id != purchase_id:
                raise Refused("id-conflict")
            return claimed.ended_answer, True
        claimed.ending, claimed.use_id, claimed.purchase_id = "used", use_id, purchase_id
        self.uses[use_id] = claim_id
        claimed.ended_answer = {
            "use_id": use_id,
            "reward_id": claimed.reward_id,
            "name": claimed.terms.name,
            "kind": claimed.terms.kind,
            "amount": claimed.terms.amount,
            "purchase_id": purchase_id,
            "used_at": self.now,
        }
        return claimed.ended_answer, False

    def vouchers(self, member: str) -> list[tuple[str, str]]:
        account = self.member(member)
        return sorted(
            (one.claim_id, one.status(self.now)) for one in self.claims.values() if one.account is account
        )
