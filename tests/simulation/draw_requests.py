"""Draws requests: of a few members, often about what is there, sometimes about what is not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from msgspec.structs import replace

from loyalty.rewards.model import RewardKind, RewardTerms
from loyalty.types import (
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Engagement,
    Purchase,
    PurchaseLine,
    PurchaseRedemption,
    Redemption,
    Release,
    Request,
    Return,
    ReturnLine,
    Reversal,
    UnlinkedReturn,
)

from .model import Model
from .programs import CATEGORIES, CHANNELS, SKUS, STORES, TAGS, TYPES, Family
from .steps import PutProgram, Step

START = datetime(2024, 1, 10, 8, tzinfo=UTC)
REWARDS = ("lamp", "cash", "wrapping", "tea")
RECENT = 40
"""Ids looked back at when something earlier is named again; older ones come up too, less often."""


class Requests:
    """Draws requests. Reads the model to aim well (points that are there), never to change it."""

    def __init__(self, seed: int, shards: int = 1, members: int = 40) -> None:
        self.rng = Random(seed)
        self.shards = shards
        self.family = Family(self.rng, budgets=shards == 1)
        self.model: Model | None = None
        self.now = START
        self.planned_members = members
        self.members: list[str] = []
        self.names: dict[str, list[str]] = {}
        self.owners: dict[str, str] = {}
        self.purchases: list[Purchase] = []
        self.returned: list[str] = []
        self.redemptions: list[str] = []
        self.holds: list[str] = []
        self.claims: list[str] = []
        self.past: list[Request] = []
        self.ids = 0
        self.story: Iterator[Step] = iter(())
        self.pace = self.rng.choice((timedelta(minutes=20), timedelta(hours=4), timedelta(days=1)))

    def living(self) -> list[str]:
        """Members with an account of their own."""
        if self.model is None:
            return self.members
        return [one for one in self.members if self.model.names.get(one) == one]

    def name_of(self, member: str) -> str:
        return self.rng.choice(self.names[member])

    def put(self, source: str, effective_from: datetime | None = None) -> PutProgram:
        """A version of the program, at an instant of its own: the ledger's clock moves on between two things."""
        self.now += timedelta(microseconds=1)
        return PutProgram(self.now, source, effective_from)

    def request(self, crowd: list[str] | None = None) -> Request:
        """One request. With a crowd, only of its members, and without ids that another member might use as well."""
        rng = self.rng
        member = rng.choice(crowd or self.members)
        if rng.random() < 0.06 and (crowd is None or self.members[-1] in crowd):
            member = self.members[-1]
        mine = None if crowd is None else set(crowd)
        dice = rng.random()
        if dice < 0.44:
            found: Request = self.purchase(member)
        elif dice < 0.58:
            found = self.take_return(mine) or self.purchase(member)
        elif dice < 0.61:
            found = self.unlinked(member)
        elif dice < 0.70:
            found = self.redemption(member)
        elif dice < 0.80:
            found = self.ending(mine) or self.redemption(member, hold=True)
        elif dice < 0.84:
            found = self.reversal(mine) or self.redemption(member)
        elif dice < 0.87:
            found = self.adjustment(member)
        elif dice < 0.89:
            found = self.event(member)
        elif dice < 0.92:
            found = self.reward(member, mine)
        elif dice < 0.95 and self.past:
            found = self.again(mine)
        elif crowd is None and self.past:
            found = self.changed()
        else:
            found = self.purchase(member)
        self.past.append(found)
        return found

    def id(self, kind: str) -> str:
        self.ids += 1
        return f"{kind}{self.ids}"

    def pick(self, found: list[Any]) -> Any:
        if self.rng.random() < 0.75:
            return self.rng.choice(found[-RECENT:])
        return self.rng.choice(found)

    def occurred(self) -> datetime:
        rng, dice = self.rng, self.rng.random()
        if dice < 0.6:
            return self.now - timedelta(seconds=rng.randrange(600))
        if dice < 0.7:
            return self.now
        if dice < 0.9:
            return self.now - timedelta(seconds=rng.randrange(86_400 * rng.choice((1, 10, 60))))
        if dice < 0.94:
            return self.now - timedelta(days=rng.randrange(60, 500), seconds=rng.randrange(86_400))
        if dice < 0.985:
            return self.now + timedelta(seconds=rng.randrange(0, 301))
        return self.now + timedelta(seconds=rng.choice((301, 900, 90_000)))

    def lines(self) -> tuple[PurchaseLine, ...]:
        rng = self.rng
        return tuple(self.line() for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))))

    def line(self) -> PurchaseLine:
        rng = self.rng
        amount = rng.choice((0, 1, rng.randrange(100), rng.randrange(10_000), rng.randrange(40_000), 10_000))
        quantity: int | Decimal = rng.choice((1, 1, 1, 2, 3, 7, Decimal("0.5"), Decimal("2.75"), 0))
        return PurchaseLine(
            sku=rng.choice(SKUS),
            amount=amount,
            quantity=quantity,
            category=rng.choice((None, *CATEGORIES)),
            tags=tuple(rng.sample(TAGS, rng.choice((0, 0, 1, 2)))),
        )

    def purchase(self, member: str) -> Purchase:
        rng = self.rng
        lines = self.lines()
        redemption = None
        if rng.random() < 0.18:
            total = sum(line.amount for line in lines)
            redemption = self.in_basket(member, total)
        found = Purchase(
            purchase_id=self.id("p"),
            member=self.name_of(member) if rng.random() < 0.99 else "nobody",
            occurred_at=self.occurred(),
            channel=rng.choice(CHANNELS),
            store=rng.choice((None, *STORES)),
            lines=lines,
            redemption=redemption,
        )
        self.purchases.append(found)
        return found

    def in_basket(self, member: str, total: int) -> PurchaseRedemption:
        held = [name for name in self.holds[-RECENT:] if self.owner(name) == member]
        if held and self.rng.random() < 0.6:
            name = self.rng.choice(held)
        elif self.model is not None and self.model.redemptions and self.rng.random() < 0.04:
            name = self.pick(list(self.model.redemptions))  # perhaps another's
        else:
            name = self.id("x")
            self.redemptions.append(name)
        points, amount = self.wanted(member, total)
        return PurchaseRedemption(name, points, amount)

    def owner(self, redemption_id: str) -> str | None:
        known = self.model.redemptions.get(redemption_id) if self.model else None
        return known.account.member_id if known else None

    def wanted(self, member: str, basket: int | None) -> tuple[int | None, int | None]:
        """Points, or money: often a number of steps that is there, sometimes too much."""
        rng = self.rng
        available, step, rate = 100, 10, (100, 100)
        if self.model is not None and member in self.model.members:
            account = self.model.members[self.model.names.get(member, member)]
            available = account.available(self.now)
            policy = self.model.version_at(self.now)[1].redemption
            if policy is not None:
                step, rate = policy.step_points, (policy.points, policy.amount)
        most = available
        if basket is not None:
            most = min(most, basket * rate[0] // rate[1])
        points = rng.choice((most, rng.randrange(most + 1), rng.randrange(available + 2), available + 7, 100))
        if rng.random() < 0.85:
            points = points // step * step
        points = max(points, 1)
        if rng.random() < 0.3:
            return None, max(1, points * rate[1] // rate[0] + rng.choice((0, 0, 0, 1)))
        return points, None

    def redemption(self, member: str, hold: bool | None = None) -> Redemption:
        rng = self.rng
        points, amount = self.wanted(member, None)
        hold = rng.random() < 0.5 if hold is None else hold
        found = Redemption(
            redemption_id=self.id("x"),
            member=self.name_of(member) if rng.random() < 0.99 else "nobody",
            points=points,
            amount=amount,
            basket_amount=rng.choice((None, None, rng.randrange(20_000))),
            hold=hold,
            hold_seconds=rng.choice((900, 60, 3600, 604_800, 86_400)),
        )
        (self.holds if hold else self.redemptions).append(found.redemption_id)
        return found

    def take_return(self, mine: set[str] | None) -> Return | None:
        rng = self.rng
        bought = [
            one
            for one in self.purchases[-RECENT:] + self.purchases[:: 1 + len(self.purchases) // 20]
            if mine is None or self.member_of(one.member) in mine
        ]
        if not bought:
            return None
        purchase = rng.choice(bought)
        if rng.random() < 0.1 and self.member_of(bought[-1].member) == self.members[-1]:
            purchase = bought[-1]
        lines: tuple[ReturnLine, ...] | None = None
        if rng.random() < 0.75:
            chosen = rng.sample(range(len(purchase.lines)), rng.randrange(1, len(purchase.lines) + 1))
            lines = tuple(self.return_line(n + 1, purchase.lines[n]) for n in chosen)
            if rng.random() < 0.02:
                lines = (*lines, ReturnLine(99, 1))
        name = purchase.purchase_id if rng.random() < 0.98 else "p-unknown"
        late = purchase.occurred_at + timedelta(hours=rng.randrange(2000))
        return Return(
            return_id=self.id("t"),
            purchase_id=name,
            occurred_at=self.now if rng.random() < 0.7 else max(purchase.occurred_at, min(self.now, late)),
            lines=lines,
        )

    def return_line(self, n: int, line: PurchaseLine) -> ReturnLine:
        rng, dice = self.rng, self.rng.random()
        quantity: int | Decimal
        if dice < 0.45 and line.quantity:
            quantity = rng.choice((line.quantity, 1, Decimal("0.5"), Decimal("0.3")))
            return ReturnLine(n, quantity)
        if dice < 0.8:
            return ReturnLine(
                n, None, rng.choice((line.amount, rng.randrange(line.amount + 1), line.amount // 3))
            )
        quantity = rng.choice((line.quantity, 1, Decimal("0.5")))
        return ReturnLine(n, quantity or 1, rng.choice((line.amount, rng.randrange(line.amount + 2))))

    def unlinked(self, member: str) -> UnlinkedReturn:
        return UnlinkedReturn(self.id("t"), self.name_of(member), self.occurred(), self.lines())

    def ending(self, mine: set[str] | None) -> Request | None:
        rng = self.rng
        name = self.pick_redemption(self.holds, mine)
        if name is None or rng.random() < 0.02:
            return None if mine is not None else Release("x-unknown")
        if rng.random() < 0.4:
            return Release(name)
        known = self.model.redemptions.get(name) if self.model else None
        points = known.points if known else 100
        return Capture(name, rng.choice((None, None, points, rng.randrange(1, points + 1), points + 1)))

    def reversal(self, mine: set[str] | None) -> Reversal | None:
        rng = self.rng
        name = self.pick_redemption(self.redemptions + self.holds[-5:], mine)
        if name is None:
            return None if mine is not None else Reversal("x-unknown")
        if rng.random() < 0.4:
            return Reversal(name)
        known = self.model.redemptions.get(name) if self.model else None
        points = known.points if known else 100
        wanted = rng.choice((None, points, rng.randrange(1, points + 1), rng.randrange(1, points + 1)))
        return Reversal(name, wanted, self.id("v"))

    def pick_redemption(self, names: list[str], mine: set[str] | None) -> str | None:
        found = [name for name in names[-RECENT:] if mine is None or self.owner(name) in mine]
        return self.rng.choice(found) if found else None

    def adjustment(self, member: str) -> Adjustment:
        rng = self.rng
        expires_at = None
        points = rng.choice((rng.randrange(1, 500), -rng.randrange(1, 200)))
        if points > 0 and rng.random() < 0.3:
            expires_at = self.now + timedelta(days=rng.randrange(1, 200))
        return Adjustment(self.id("a"), self.name_of(member), points, "goodwill", expires_at)

    def event(self, member: str) -> Engagement:
        channel = self.rng.choice((None, *CHANNELS))
        return Engagement(
            self.id("e"), self.name_of(member), self.rng.choice(TYPES), self.occurred(), channel
        )

    # -- rewards -----------------------------------------------------------------------------------------------------

    def terms(self) -> RewardTerms:
        """A reward's terms, mostly open to all."""
        rng = self.rng
        kind: RewardKind = rng.choice(("cash", "gift", "service"))
        today, near = self.now.date(), timedelta(days=rng.randrange(1, 60))
        tiers = [f"t{n}" for n in range(self.family.tiers + 1)] if self.family.tiers else []
        return RewardTerms(
            name=rng.choice(("A", "B")),
            kind=kind,
            points=rng.choice((1, 10, 40, 150)),
            amount=rng.randrange(1, 900) if kind == "cash" else None,
            tiers=tuple(rng.sample(tiers, 1)) if tiers and rng.random() < 0.2 else (),
            from_=today + near if rng.random() < 0.1 else None,
            until=today + 2 * near if rng.random() < 0.2 else None,
            valid_days=rng.choice((None, None, 0, 3, 30)),
            unlimited=rng.random() < 0.3,
        )

    def reward(self, member: str, mine: set[str] | None) -> Request:
        """A claim, or the cancellation of one. A stock is shared: in a batch over shards nobody says who is first."""
        rng = self.rng
        if mine is not None and self.shards > 1:
            return self.adjustment(member)
        known = self.model.claims if self.model else {}
        claims = [one for one in self.claims[-RECENT:] if mine is None or self.claimer(known, one) in mine]
        if claims and rng.random() < 0.35:
            return Cancellation(rng.choice(claims))
        self.claims.append(self.id("c"))
        return Claim(self.claims[-1], rng.choice(REWARDS), self.name_of(member))

    @staticmethod
    def claimer(known: dict[str, Any], claim_id: str) -> str | None:
        return known[claim_id].account.member_id if claim_id in known else None

    # -- the same again, or nearly ----------------------------------------------------------------------------------

    def member_of(self, name: str) -> str | None:
        return self.owners.get(name)

    def again(self, mine: set[str] | None) -> Request:
        found: Request = self.pick(self.past)
        member = getattr(found, "member", None)
        if mine is not None and (self.member_of(member) if member else None) not in mine:
            return self.purchase(next(iter(sorted(mine))))
        if member is not None and self.rng.random() < 0.5 and (owner := self.member_of(member)):
            return replace(found, member=self.name_of(owner))
        return found

    def changed(self) -> Request:
        """An id that was used before, with other content."""
        found: Request = self.pick(self.past)
        rng = self.rng
        if isinstance(found, Purchase):
            return rng.choice(
                (
                    replace(found, channel="kiosk"),
                    replace(found, occurred_at=found.occurred_at + timedelta(seconds=1)),
                    replace(found, lines=(*found.lines, self.line())),
                    replace(found, member=rng.choice(self.members)),
                    replace(found, member="nobody"),
                    replace(found, lines=tuple(replace(one, line=n) for n, one in enumerate(found.lines, 1))),
                )
            )
        if isinstance(found, Return | UnlinkedReturn):
            return replace(found, occurred_at=found.occurred_at - timedelta(seconds=1))
        if isinstance(found, Claim):
            return replace(found, reward_id=rng.choice(REWARDS))
        if isinstance(found, Engagement):
            return rng.choice((replace(found, type="other"), replace(found, channel="kiosk")))
        if isinstance(found, Adjustment):
            return replace(found, reason="another reason")
        if isinstance(found, Redemption):
            return replace(found, hold=not found.hold)
        return found
