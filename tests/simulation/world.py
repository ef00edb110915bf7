"""A seeded stream of everything that may happen to a few members: the next step is drawn from what is there."""

from datetime import date, datetime, timedelta

from loyalty.types import Enrolment, Request, Return

from .draw_requests import RECENT, REWARDS, Requests
from .steps import (
    Enrol,
    Erase,
    Look,
    Merge,
    MoveStock,
    Owed,
    Past,
    PostDue,
    PutProgram,
    PutReward,
    SetBirthday,
    SetStatus,
    Step,
    Submit,
    UseVoucher,
)
from .stories import STORIES

KINDS = (
    "story",
    "program",
    "status",
    "birthday",
    "due",
    "past",
    "owed",
    "merge",
    "erase",
    "look",
    "reward",
    "use",
)
WEIGHTS = (7, 4, 2, 2, 5, 16, 1, 2, 1, 7, 3, 3)


class World(Requests):
    """Draws steps, one after another."""

    def first(self) -> list[Step]:
        steps: list[Step] = [PutProgram(self.now, self.family.source())]
        steps += [self.enrol() for _ in range(self.planned_members // 4)]
        for reward in REWARDS[:3]:
            steps += [
                PutReward(self.now, reward, self.terms()),
                MoveStock(self.now, reward, self.id("s"), 15),
            ]
        return steps

    def next(self) -> Step:
        for step in self.story:
            return step
        self.tick()
        if self.rng.random() < (0.1 if len(self.living()) < self.planned_members else 0.02):
            return self.enrol()
        return self.of_one() if self.rng.random() < 0.36 else self.of_some()

    def of_one(self) -> Step:
        """Everything but requests, mostly of one member."""
        rng, kind = self.rng, self.rng.choices(KINDS, WEIGHTS)[0]
        if kind == "story":
            self.story = rng.choice(STORIES)(self)
            return self.next()
        if kind == "program":
            when = None if rng.random() < 0.5 else self.now + timedelta(hours=rng.randrange(1, 400))
            return self.put(self.family.source(), when)
        if kind == "status":
            return SetStatus(self.now, rng.choice(self.members), rng.choice(("blocked", "active", "active")))
        if kind == "birthday":
            return SetBirthday(self.now, self.name_of(rng.choice(self.members)), self.birthday())
        if kind == "due":
            return PostDue(self.now, rng.random() < 0.4)
        if kind == "past":
            return self.look_back()
        if kind == "owed":
            return Owed(self.now, *self.instants(rng.choice(self.members)))
        if kind == "merge":
            return self.merge()
        if kind == "erase":
            whom = self.burdened(self.living()) if rng.random() < 0.5 else None
            return Erase(self.now, whom or rng.choice(self.members))
        if kind == "reward":
            reward = rng.choice(REWARDS)
            if rng.random() < 0.3:
                return PutReward(self.now, reward, self.terms())
            again = f"s{rng.randrange(1 + self.ids)}"
            return MoveStock(
                self.now,
                reward,
                again if rng.random() < 0.1 else self.id("s"),
                rng.choice((1, 2, 3, 8, -1, -2)),
            )
        if kind == "use" and self.claims:
            use = self.id("u") if rng.random() < 0.8 else f"u{rng.randrange(1 + self.ids)}"
            return UseVoucher(self.now, self.pick(self.claims), use, rng.choice((None, None, "p1")))
        return Look(self.now, rng.choice(self.members))

    def of_some(self) -> Step:
        """Requests: one, or a batch of several members."""
        rng, dice = self.rng, self.rng.random()
        if dice < 0.04 and (newcomer := self.newcomer()) is not None:
            return Submit(self.now, self.regret(newcomer), rng.random() < 0.5)
        if dice < 0.36:
            return Submit(self.now, (self.request(),), False)
        count = rng.choice((2, 3, 5, 10, 20, 50, 100))
        crowd = rng.sample(self.members, min(len(self.members), rng.choice((1, 4, 40))))
        return Submit(self.now, self.batch(count, crowd), True)

    def tick(self) -> None:
        dice, rng = self.rng.random(), self.rng
        if dice < 0.2:
            return
        if dice < 0.28 and (due := self.next_due()) is not None:
            self.now = due
            return
        if dice < 0.6:
            self.now += timedelta(seconds=rng.randrange(1, 900))
        elif dice < 0.985:
            self.now += rng.random() * 2 * self.pace
        else:
            self.now += timedelta(days=rng.randrange(5, 70))
        self.now = self.now.replace(microsecond=rng.choice((0, 0, 1, 500_000, 999_999)))

    def next_due(self) -> datetime | None:
        """The very instant at which something of a member falls due, if that is within a month."""
        if self.model is None:
            return None
        account = self.model.members[self.rng.choice(self.members)]
        if account.erased:
            return None
        ends = [account.end(lot) for lot in account.open_lots()]
        ends += [lot.spendable_from for lot in account.open_lots()]
        ends += [hold.until for hold in account.holds if hold.until is not None]
        if account.standing is not None and account.standing.verdict_at is not None:
            ends.append(account.standing.verdict_at)
        ends = [end for end in ends if self.now < end < self.now + timedelta(days=30)]
        return self.rng.choice(ends) if ends else None

    def batch(self, count: int, crowd: list[str]) -> tuple[Request, ...]:
        """Requests of several members. One id means one member here: between members no order is promised."""
        found = [self.request(crowd) for _ in range(count)]
        found += [self.rng.choice(found) for _ in range(count // 10)]
        return tuple(found)

    def newcomer(self) -> str | None:
        """A member without a purchase, if there is one."""
        if self.model is None:
            return None
        return next((one for one in reversed(self.living()) if not self.model.members[one].purchases), None)

    def regret(self, member: str) -> tuple[Request, ...]:
        """A purchase that comes back whole, and the next one."""
        first = self.purchase(member)
        found = (first, Return(self.id("t"), first.purchase_id, self.now), self.purchase(member))
        self.past += found
        return found

    # -- people and the past ---------------------------------------------------------------------------------------

    def merge(self) -> Merge:
        """Mostly of two who are there; else a merge again, elsewhere, in a circle, of nobody."""
        rng, living = self.rng, self.living()
        if rng.random() < 0.6 and len(living) > 4:
            one, other = rng.sample(living, 2)
            if rng.random() < 0.5:
                one = self.burdened(living) or one
            pair = rng.sample((one, other), 2) if one != other else rng.sample(living, 2)
            return Merge(self.now, *(self.name_of(name) for name in pair))
        if rng.random() < 0.5 and (gone := [one for one in self.members if one not in living]):
            old = rng.choice(gone)
            there = self.model.names.get(old) if self.model else None
            into = rng.choice((there or "nobody", rng.choice(gone), rng.choice(self.members), "nobody"))
            return Merge(self.now, *rng.sample((old, into), 2))
        return Merge(self.now, rng.choice(self.members[:6]), rng.choice(self.members[:6]))

    def burdened(self, living: list[str]) -> str | None:
        """A member with holds or debt, if there is one."""
        if self.model is None:
            return None
        accounts = self.model.members
        found = [one for one in living if accounts[one].holds or accounts[one].debt]
        return self.rng.choice(found) if found else None

    def instants(self, member: str) -> tuple[datetime | None, datetime | None]:
        """What is asked of the past: as of, known at. Often an instant at which something happened to the member, or
        one just beside it."""
        rng = self.rng
        entries = self.model.members[member].entries if self.model else []
        moments = [entry[axis] for entry in entries[-RECENT:] for axis in ("at", "known")]
        moments += [entry["at"] for entry in entries if entry["kind"] == "expire"]

        def some() -> datetime:
            if rng.random() < 0.6 and moments:
                beside = timedelta(microseconds=rng.choice((-1, -1, 0, 0, 1, 7_000_000, 99_999_000_000)))
                return min(self.now, rng.choice(moments) + beside)
            return self.now - rng.random() * rng.choice((1, 20, 200)) * self.pace

        kind = rng.randrange(4)
        if kind == 0:
            return some(), None
        if kind == 1:
            return None, some()
        return (some(), some()) if kind == 2 else (None, None)

    def look_back(self) -> Past:
        member = self.rng.choice(self.members)
        return Past(self.now, self.name_of(member), *self.instants(member))

    # -- members ---------------------------------------------------------------------------------------------------

    def birthday(self) -> date | None:
        """Often one of these days, which is when it may matter."""
        rng = self.rng
        near = (self.now + timedelta(days=rng.randrange(-3, 12))).date().replace(year=1992)
        return rng.choice(
            (None, near, date(1992, 2, 29), date(1980, rng.randrange(1, 13), rng.randrange(1, 29)))
        )

    def enrol(self) -> Enrol:
        n, rng = len(self.members), self.rng
        member_id = f"m{n}"
        birthday = self.birthday()
        self.members.append(member_id)
        self.names[member_id] = [member_id, member_id, f"phone:+86{n:05}", f"ext:shop-{n}"]
        self.owners |= dict.fromkeys(self.names[member_id], member_id)
        back = timedelta(days=rng.choice((0, 0, 3, 40)), seconds=rng.randrange(3600))
        return Enrol(
            self.now,
            Enrolment(
                member_id=member_id,
                phone=f"+86{n:05}",
                ext=f"shop-{n}",
                birthday=birthday,
                enrolled_at=self.now - back,
            ),
        )
