"""A random history in which everything may happen, posted through the engine with a clock that moves."""

import random
from datetime import date, timedelta
from typing import Any

from loyalty.engine import catalogue
from loyalty.errors import LoyaltyError
from loyalty.rewards.model import RewardTerms
from loyalty.types import (
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Engagement,
    OpeningTier,
    Purchase,
    PurchaseRedemption,
    Redemption,
    Release,
    Request,
    Return,
    ReturnLine,
    Reversal,
    UnlinkedReturn,
)
from tests.builders import BASE, Ledger, expiry, line, program

SKUS = ("LAMP", "TEA", "RUG", "PAN")
RULES = (
    BASE
    + """
[[rules]]
id = "silver-x1.5"
kind = "multiplier"
factor = 1.5
when = { tier = ["silver", "gold"] }
[[rules]]
id = "lamp"
kind = "units"
points = 7
where = { sku = ["LAMP"] }
limit = { per_member = 6, per_member_day = 2 }
[[rules]]
id = "welcome"
kind = "flat"
points = 50
when = { first_purchase = true }
limit = { budget_points = 600 }
[[rules]]
id = "birthday"
kind = "multiplier"
factor = 2
when = { birthday = "month" }
[[rules]]
id = "survey"
kind = "event"
points = 12
type = ["survey", "review"]
limit = { per_member_day = 1, budget_points = 400 }
[[rules]]
id = "review-on-birthday"
kind = "event"
points = 2.5
type = "review"
when = { birthday = "month", tier = ["ordinary", "silver"] }
limit = { per_member = 5 }
"""
)
PROGRAMS = (
    program(
        points=f"{expiry(days=40)}\nrestore_grace_days = 5",
        redemption="points = 10\namount = 10\nmin_points = 10\nstep_points = 10\nmax_basket_share = 0.8",
        policy='window = { kind = "rolling", months = 2 }\nvalidity_months = 1\non_return = "immediate"',
        rules=RULES,
    ),
    program(
        points=f'{expiry("inactivity", days=25)}\npending_days = 2\nrounding = "half_up"\nshortfall = "forgive"',
        redemption="points = 10\namount = 20",
        policy='window = { kind = "calendar_year" }\ndowngrade = "to_qualified"',
        rules=RULES,
    ),
    program(points=expiry(months=1, round_to="month"), rules=RULES.replace("1.5", "1.25")),
)
"""In force one after the other: lots that die by themselves, idle ones, pending ones; three tier windows."""

MEMBERS = tuple(f"m{number}" for number in range(9))


class Shop:
    """Draws what happens next from a seed."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.draw = random.Random(seed)
        self.members = list(MEMBERS)
        self.purchases: list[tuple[str, int]] = []
        self.holds: list[str] = []
        self.redemptions: list[str] = []
        self.claims: list[str] = []
        self.number = 0
        self.refused = 0

    def id(self, kind: str) -> str:
        self.number += 1
        return f"{kind}{self.number}"

    async def open(self) -> None:
        """Members, some with birthdays and tiers from before."""
        for number, member in enumerate(self.members):
            birthday = date(1990, 1 + number % 4 + 2, 5) if number % 2 else None
            await self.ledger.enrol(member, **({"birthday": birthday} if birthday else {}))
        for reward_id, price in (("mug", 20), ("rug", 90)):
            terms = RewardTerms(reward_id, "gift", price, tiers=("silver", "gold") if price > 50 else ())
            await catalogue.put_reward(self.ledger.engine, reward_id, terms, None)
            await catalogue.move_stock(self.ledger.engine, reward_id, reward_id, 40, None, None)
        now = await self.ledger.engine.now()
        for member, tier, since in (("m1", "silver", 20), ("m2", "gold", 3)):
            await self.submit(OpeningTier(member, tier, now - timedelta(days=since)))
        await self.submit(OpeningTier("m3", "silver", now - timedelta(days=9), now + timedelta(days=11)))

    async def submit(self, *requests: Request) -> None:
        outcomes = await self.ledger.engine.submit_many(requests)
        self.refused += sum(isinstance(outcome, LoyaltyError) for outcome in outcomes)

    async def step(self) -> None:
        """One thing, or a small upload of several."""
        what = self.draw.random()
        now = await self.ledger.engine.now()
        if what < 0.2:
            await self.ledger.move_clock(timedelta(hours=self.draw.choice((1, 5, 30, 24 * 6))))
        elif what < 0.24:
            await self.ledger.engine.expire(now - timedelta(hours=self.draw.choice((0, 0, 50))))
        elif what < 0.28:
            await self.ledger.engine.review_tiers()
        else:
            await self.submit(*(self.request(now) for _ in range(self.draw.choice((1, 1, 2, 5)))))

    def request(self, now: Any) -> Request:
        draw, member = self.draw, self.draw.choice(self.members)
        at = now - timedelta(hours=draw.choice((0, 0, 0, 1, 30, 24 * 33)))
        kind = draw.random()
        if kind < 0.5 or not self.purchases:
            return self.purchase(member, at)
        if kind < 0.65:
            purchase, lines = draw.choice(self.purchases[-12:])
            back = (ReturnLine(draw.randrange(1, lines + 1), quantity=1),) if draw.random() < 0.6 else None
            return Return(self.id("t"), purchase, now, back)
        if kind < 0.69:
            return UnlinkedReturn(self.id("t"), member, at, (line(draw.randrange(100, 9000)),))
        if kind < 0.85:
            return self.redeem(member)
        if kind < 0.89:
            return Engagement(self.id("e"), member, draw.choice(("survey", "review", "visit")), at)
        if kind < 0.92:
            return Adjustment(self.id("a"), member, draw.choice((-40, 15, 200)), "test")
        if draw.random() < 0.6:
            return self.claim(member)
        if self.redemptions and draw.random() < 0.5:
            points = draw.choice((None, 10))
            return Reversal(draw.choice(self.redemptions), points, self.id("v") if points else None)
        if self.holds:
            hold = draw.choice(self.holds[-4:])
            return draw.choice((Capture(hold), Capture(hold, 10), Release(hold)))
        return self.purchase(member, at)

    def claim(self, member: str) -> Claim | Cancellation:
        if self.claims and self.draw.random() < 0.5:
            return Cancellation(self.draw.choice(self.claims))
        self.claims.append(self.id("c"))
        return Claim(self.claims[-1], self.draw.choice(("mug", "rug")), member)

    def purchase(self, member: str, at: Any) -> Purchase:
        draw, id = self.draw, self.id("p")
        lines = tuple(
            line(draw.randrange(500, 40000), draw.randrange(1, 4), draw.choice(SKUS))
            for _ in range(draw.randrange(1, 4))
        )
        self.purchases.append((id, len(lines)))
        paid = None
        if draw.random() < 0.3:
            hold = self.holds[-1] if self.holds and draw.random() < 0.4 else None
            paid = PurchaseRedemption(hold or self.id("r"), points=draw.choice((10, 20, 60)))
            self.redemptions.append(paid.redemption_id)
        return Purchase(id, member, at, draw.choice(("pos", "online")), lines, redemption=paid)

    def redeem(self, member: str) -> Redemption:
        draw, points = self.draw, self.draw.choice((10, 30, 80))
        if draw.random() < 0.5:
            hold = self.id("h")
            self.holds.append(hold)
            return Redemption(
                hold, member, points=points, hold=True, hold_seconds=draw.choice((600, 6 * 86400))
            )
        redemption = self.id("r")
        self.redemptions.append(redemption)
        return Redemption(redemption, member, points=points)


async def live(ledger: Ledger, seed: int, steps: int) -> Shop:
    """A history of so many steps under three programs, with two merges and an erasure in it."""
    shop = Shop(ledger, seed)
    await shop.open()
    for number in range(steps):
        if number in (steps // 3, 2 * steps // 3):
            await ledger.put(PROGRAMS[1 if number == steps // 3 else 2])
        if number == steps // 2:
            await ledger.engine.merge("m1", "m4")
            shop.members.remove("m1")
        if number == 3 * steps // 4:
            await ledger.engine.merge("m4", "m5")
            shop.members.remove("m4")
            await ledger.move_clock(timedelta(days=3))  # nothing is pending any more
            await ledger.engine.erase("m6")
            shop.members.remove("m6")
        await shop.step()
    return shop
