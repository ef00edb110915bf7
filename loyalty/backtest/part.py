"""A range of accounts, replayed on both sides and compared. Pure but for the rows that it is given."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from loyalty.backtest.asis import AsIs
from loyalty.backtest.books import ReplayBook
from loyalty.backtest.history import Chunk, Event, Family, Stands
from loyalty.backtest.recorded import Bought, bought
from loyalty.backtest.replay import Replay
from loyalty.backtest.sides import Side
from loyalty.backtest.tally import Period, Sums, Tally

TOP = 10
"""Members that are named at either end."""
SAMPLE = 64
"""What was in force is decided again for one account of so many, where nobody asks for all."""
MOST_DIFFERENT = 20
"""Accounts that are named where the replay does not reproduce the ledger."""


@dataclass(slots=True, frozen=True)
class Member:
    """What a member had on both sides: points redeemed, points left at the end, and the tier."""

    account: int
    redeemed_now: int
    left_now: int
    tier_now: str
    redeemed: int
    left: int
    tier: str


@dataclass(slots=True)
class Part:
    """What ranges of accounts gave. `now`: what was in force; `candidate`: what is tried.

    matrix: members by (tier now, tier under the candidate). gains: members by what they gain, in points, put into
    classes. top: members who win or lose most, (gain, member). checked: accounts for which what was in force was
    decided again; different: those whose books that does not reproduce, with what differs.
    """

    now: Sums = field(default_factory=Sums)
    candidate: Sums = field(default_factory=Sums)
    accounts: int = 0
    postings: int = 0
    purchases: int = 0
    matrix: Counter[tuple[str, str]] = field(default_factory=Counter)
    gains: Counter[int] = field(default_factory=Counter)
    winners: list[tuple[int, int, Member]] = field(default_factory=list)
    losers: list[tuple[int, int, Member]] = field(default_factory=list)
    checked: int = 0
    different: list[tuple[int, str]] = field(default_factory=list)
    different_count: int = 0

    def add(self, other: "Part") -> None:
        """Adds the sums of other accounts."""
        self.now.add(other.now)
        self.candidate.add(other.candidate)
        self.accounts += other.accounts
        self.postings += other.postings
        self.purchases += other.purchases
        self.matrix.update(other.matrix)
        self.gains.update(other.gains)
        self.winners = heapq.nlargest(TOP, self.winners + other.winners, key=lambda one: one[:2])
        self.losers = heapq.nlargest(TOP, self.losers + other.losers, key=lambda one: one[:2])
        self.checked += other.checked
        self.different_count += other.different_count
        self.different = (self.different + other.different)[:MOST_DIFFERENT]


class Comparison:
    """Both sides over a range of accounts.

    Args:
        now, candidate: the sides.
        period: what is counted; events after its end are not replayed.
        worth: of points in minor units, by side (points, amount); None where points are worth nothing.
        check: whether the side in force must come to what the ledger says: nothing that is on record is left out.
        verify: decide all again under what was in force; else that is read from the ledger where it stands there.
        again: what each rule gave under what was in force is known from an earlier pass.
    """

    def __init__(
        self,
        now: Side,
        candidate: Side,
        period: Period,
        worth: tuple[tuple[int, int], tuple[int, int]] | None,
        *,
        check: bool,
        verify: bool,
        again: bool,
    ) -> None:
        self.sides = (now, candidate)
        self.period = period
        self.worth = worth
        self.check = check
        self.verify = verify or not check
        self.again = again
        self.tallies = (Tally(now, period), Tally(candidate, period))
        self.part = Part(now=self.tallies[0].sums, candidate=self.tallies[1].sums)
        self._now: Replay | AsIs | None = None
        self._candidate: Replay | None = None

    def take(self, family: Family, events: Chunk, *, last: bool) -> None:
        """The next events of a family; `last` when there are no more."""
        if self._now is None or self._candidate is None:
            self._now, self._candidate = self._begin(family)
        self._play(self._now, self._candidate, events)
        if last:
            self._finish(family, self._now, self._candidate)
            self._now.close()
            self._candidate.close()
            self._now = self._candidate = None

    def _begin(self, family: Family) -> tuple[Replay | AsIs, Replay]:
        for tally in self.tallies:
            tally.start(family)
        candidate = Replay(self.sides[1], family, self.tallies[1])
        if self.sides[1].number is not None and self.sides[1].versions[-1].needs.budgeted:
            candidate.context.demand = self.tallies[1].demand
        # What fell due and is not posted yet is not in the ledger's books.
        due = family.due_at is not None and family.due_at <= self.period.end
        if self.verify or due or family.owner % SAMPLE == 1:
            return Replay(self.sides[0], family, self.tallies[0]), candidate
        return AsIs(self.sides[0], family, self.tallies[0], silent=self.again), candidate

    def _play(self, now: Replay | AsIs, candidate: Replay, events: Chunk) -> None:
        end = self.period.end
        part = self.part
        for event in events:
            facts: Bought | None = None
            if isinstance(event, Event):
                if event.occurred_at >= end:
                    continue
                part.postings += 1
                if event.kind == "purchase":
                    part.purchases += 1
                    facts = bought(event.facts or "")
            now.play(event, facts)
            candidate.play(event, facts)

    def _finish(self, family: Family, as_is: Replay | AsIs, tried: Replay) -> None:
        part = self.part
        now, candidate = self.tallies
        if isinstance(as_is, AsIs):
            tier_now = as_is.end()
            self._add_up(family, now.points)
        else:
            if self.check:
                self._compare(family, as_is)
            tier_now = self._end(as_is, now)
        tier = self._end(tried, candidate)
        part.accounts += len(family.stands)
        if tier_now is None or tier is None:
            return
        part.matrix[tier_now, tier] += 1
        member = Member(
            family.owner, now.redeemed, now.points, tier_now, candidate.redeemed, candidate.points, tier
        )
        gain = self._gain(member)
        part.gains[size_class(gain)] += 1
        if gain > 0:
            _keep(part.winners, (gain, -family.owner, member))
        elif gain < 0:
            _keep(part.losers, (-gain, -family.owner, member))

    def _end(self, replay: Replay, tally: Tally) -> str | None:
        replay.end(self.period.end)
        budgets = [(rule, points) for rule, (points, _) in replay.context.budget_changes.items()]
        return tally.finish(_books(replay), budgets)

    def _gain(self, member: Member) -> int:
        """What the member has more under the candidate: redeemed and left, in minor units or else in points."""
        had, has = member.redeemed_now + member.left_now, member.redeemed + member.left
        if self.worth is None:
            return has - had
        (per_now, amount_now), (per, amount) = self.worth
        return has * amount // per - had * amount_now // per_now

    def _compare(self, family: Family, replay: Replay) -> None:
        self.part.checked += len(family.stands)
        for account, stands in family.stands.items():
            head = replay.context.books[account].head
            found = Stands(
                head.number, head.seq, head.lots, head.balance, head.held, head.debt, head.purchases,
                head.tier, head.tier_since, head.tier_valid_until,
            )  # fmt: skip
            if found != stands:
                names = [
                    f"{name} {was} in the ledger, {made} replayed"
                    for name, was, made in zip(Stands._fields, stands, found, strict=True)
                    if was != made
                ]
                self._differs(account, "; ".join(names))

    def _add_up(self, family: Family, points: int) -> None:
        """What was read must come to what the accounts hold."""
        balance = sum(stands.balance for stands in family.stands.values())
        if points != balance:
            self._differs(family.owner, f"balance {balance} in the ledger, {points} recorded")

    def _differs(self, account: int, text: str) -> None:
        self.part.different_count += 1
        if len(self.part.different) < MOST_DIFFERENT:
            self.part.different.append((account, text))


def size_class(gain: int) -> int:
    """The class of a gain: 0 for none, else the number of its digits, signed as the gain is."""
    if not gain:
        return 0
    digits = len(str(abs(gain)))
    return digits if gain > 0 else -digits


def _keep(top: list[tuple[int, int, Member]], one: tuple[int, int, Member]) -> None:
    if len(top) < TOP:
        heapq.heappush(top, one)
    elif one[:2] > top[0][:2]:
        heapq.heapreplace(top, one)


def _books(replay: Replay) -> Iterable[ReplayBook]:
    return [book for book in replay.context.books.values() if isinstance(book, ReplayBook)]
