"""What a replay adds up to. Sums are mergeable: ranges of accounts are counted in different processes.

Points are signed as entries are. Months are local ones of the newest program's time zone; what occurred before the
period counts as its opening, what occurred after it is left out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from fractions import Fraction

from loyalty.backtest.books import ReplayBook
from loyalty.backtest.history import Family, TierChange
from loyalty.backtest.sides import Side
from loyalty.backtest.stretches import OPENING, Stretches, month_of, stretches
from loyalty.calendar import Calendar
from loyalty.ledger.rows import TierRow
from loyalty.ledger.state import Journal
from loyalty.rules.exact import Exact
from loyalty.types import Engagement, Purchase, Request, Return, UnlinkedReturn

_QUARTER_HOUR = 900
_EARNING = (Purchase, Engagement)


@dataclass(slots=True)
class Sums:
    """Everything counted on one side.

    months, tiers: points of entries by (month or tier, kind); what is earned and clawed back by the tier that judged
    it, all else by the tier that the account stood in. earned, returned: exact points by (rule, scale), to be
    divided by the scale. times: purchases and events that a rule gave points on. capped: count, wanted and made
    points by kind.
    ends: members and outstanding points by tier. changes: promotions, renewals and falls of tiers. budgets: net use.
    demand: use of budgets by rule and hour (of the Unix clock).
    """

    months: Counter[tuple[str, str]] = field(default_factory=Counter)
    tiers: Counter[tuple[str, str]] = field(default_factory=Counter)
    earned: dict[tuple[str, int], Exact] = field(default_factory=dict)
    returned: dict[str, Fraction] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    capped: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    budgets: Counter[str] = field(default_factory=Counter)
    demand: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, other: "Sums") -> None:
        for part in fields(self):
            mine, theirs = getattr(self, part.name), getattr(other, part.name)
            for key, value in theirs.items():
                mine[key] = mine.get(key, 0) + value


@dataclass(slots=True, frozen=True)
class Period:
    """What is counted: from `start` (None: all of the past) up to `end`, in a calendar's months.

    first: nothing occurred before it.
    """

    start: datetime | None
    end: datetime
    calendar: Calendar
    first: datetime

    def counts(self, at: datetime) -> bool:
        """Whether an instant belongs to the period."""
        return at < self.end and (self.start is None or at >= self.start)

    def stretches(self) -> Stretches:
        return stretches(self.calendar, self.first, self.start, self.end)


class Tally:
    """Counts one side: told by the replay of each family what moved."""

    def __init__(self, side: Side, period: Period) -> None:
        self.period = period
        self._judges = side.judges
        self.sums = Sums()
        program = side.versions[-1].program
        self.lowest = program.tiers[0].id
        self.ranks = {tier.id: rank for rank, tier in enumerate(program.tiers)}
        self._months: dict[int, str] = {}
        self._end = period.end.timestamp()
        self._start = period.start.timestamp() if period.start else None
        self._tier = self.lowest
        self._at = period.end
        self._family: Family | None = None
        self._kept: dict[str, dict[str, Fraction]] = {}
        self.redeemed = 0
        """Of the family, in the period."""
        self.points = 0
        """Of the family, at the end of the period."""

    # -- a family --------------------------------------------------------------------------------------------------

    def start(self, family: Family) -> None:
        """Another family begins."""
        self._family = family
        self._kept.clear()
        self.redeemed = self.points = 0

    def finish(self, books: Iterable[ReplayBook], budgets: Iterable[tuple[str, int]]) -> str | None:
        """A family has ended. Returns the tier of its member; None if nobody stands behind it any more."""
        tier = None
        for book in books:
            head = book.head
            if head.status != "merged":
                tier = self._ended(head.tier, head.held, head.debt, head.status)
        for rule, points in budgets:
            self.sums.budgets[rule] += points
        return tier

    def _ended(self, tier: str | None, held: int, debt: int, status: str) -> str | None:
        ends, tier = self.sums.ends, tier or self.lowest
        ends["points", tier] += self.points + debt
        ends["held", tier] += held
        ends["debt", tier] += debt
        if status == "erased":
            return None
        ends["members", tier] += 1
        return tier

    # -- postings --------------------------------------------------------------------------------------------------

    def begin(self, book: ReplayBook, at: datetime) -> None:
        self._tier = book.head.tier or self.lowest
        self._at = at
        for judge in self._judges:
            judge.award = None

    def took(self, book: ReplayBook, journal: Journal, request: Request | None) -> None:  # noqa: ARG002 -- a Sink
        judged = self._tier
        for judge in self._judges:
            if judge.award is not None:
                judged = judge.tier
        for entry in journal.entries:
            kind = entry.kind
            tier = judged if kind == "earn" or kind == "clawback" else self._tier
            self._moved(entry.occurred_at, kind, tier, entry.points)
        if journal.tiers:
            self._changed(journal.tiers)
        if request is not None:
            for judge in self._judges:
                if judge.award is not None:
                    self._by_rule(judge.award.by_rule, judge.award.scale, request)

    # -- as it is recorded -----------------------------------------------------------------------------------------

    def earned(self, at: datetime, tier: str, points: int) -> None:
        """Points that the ledger gave for what occurred then, judged by that tier."""
        if points:
            self._moved(at, "earn", tier, points)

    def gave(self, by_rule: Mapping[str, Exact], scale: int, request: Request, at: datetime) -> None:
        """What each rule gave then for a recorded request, or left of it; points times `scale`."""
        self._at = at
        self._by_rule(by_rule, scale, request)

    def recorded(self, family: Family, months: Sequence[str | None]) -> str | None:
        """A family whose books stand in the ledger at the end of the period: all that moved and was not earned.

        `months`: by stretch. Returns as `finish`.
        """
        sums = self.sums
        for _, kind, stretch, tier, points in family.moved:
            month = months[stretch]
            if month is None:
                continue
            self.points += points
            _count(sums.months, (month, kind), points)
            if month == OPENING:
                continue
            _count(sums.tiers, (tier or self.lowest, kind), points)
            if kind == "redeem" or kind == "restore":
                self.redeemed -= points
        self._changed(family.changes)
        stands = family.stands[family.owner]
        return self._ended(stands.tier, stands.held, stands.debt, family.status)

    # -- what could not be -----------------------------------------------------------------------------------------

    def capped(self, kind: str, wanted: int, made: int) -> None:
        if self.period.counts(self._at):
            self.sums.capped[kind, "count"] += 1
            self.sums.capped[kind, "wanted"] += wanted
            self.sums.capped[kind, "made"] += made
            self.sums.capped[kind, "dropped"] += not made

    def refused(self, kind: str, code: str) -> None:
        if self.period.counts(self._at):
            self.sums.refused[kind, code] += 1

    def demand(self, rule: str, points: int) -> None:
        """Points that were taken from a rule's budget, or given back."""
        self.sums.demand[rule, int(self._at.timestamp()) // 3600] += points

    # -- parts -----------------------------------------------------------------------------------------------------

    def _moved(self, occurred_at: datetime, kind: str, tier: str, points: int) -> None:
        at = occurred_at.timestamp()
        if at >= self._end:
            return
        self.points += points
        if self._start is not None and at < self._start:
            _count(self.sums.months, (OPENING, kind), points)
            return
        quarter = int(at) // _QUARTER_HOUR
        month = self._months.get(quarter) or self._month(quarter, occurred_at)
        _count(self.sums.months, (month, kind), points)
        _count(self.sums.tiers, (tier, kind), points)
        if kind == "redeem" or kind == "restore":
            self.redeemed -= points

    def _month(self, quarter: int, at: datetime) -> str:
        # A month begins on a quarter of an hour in every zone; the clock changes of a day do not move it.
        day = self.period.calendar.day(at)
        if len(self._months) > 100_000:
            self._months.clear()
        return self._months.setdefault(quarter, month_of(day))

    def _changed(self, changes: Iterable[TierRow | TierChange]) -> None:
        for change in changes:
            if not self.period.counts(change.at):
                continue
            before, after = self.ranks[change.previous or self.lowest], self.ranks[change.tier]
            how = "renewal" if before == after else "promotion" if after > before else "fall"
            self.sums.changes[how] += 1

    def _by_rule(self, by_rule: Mapping[str, Exact], scale: int, request: Request) -> None:
        assert self._family is not None
        if isinstance(request, Purchase) and request.purchase_id in self._family.subjects:
            self._kept[request.purchase_id] = _exactly(by_rule, scale)
        if not self.period.counts(self._at):
            return
        if isinstance(request, _EARNING):
            earned, times = self.sums.earned, self.sums.times
            for rule, points in by_rule.items():
                key = rule, scale
                earned[key] = earned.get(key, 0) + points
                times[rule] = times.get(rule, 0) + 1
        elif isinstance(request, Return):
            kept, before = _exactly(by_rule, scale), self._kept.get(request.purchase_id, {})
            for rule in kept.keys() | before.keys():
                self._back(rule, before.get(rule, Fraction()) - kept.get(rule, Fraction()))
            self._kept[request.purchase_id] = kept
        elif isinstance(request, UnlinkedReturn):
            for rule, back in _exactly(by_rule, scale).items():
                self._back(rule, back)

    def _back(self, rule: str, points: Fraction) -> None:
        if points:
            self.sums.returned[rule] = self.sums.returned.get(rule, Fraction()) + points


def _count(sums: Counter[tuple[str, str]], key: tuple[str, str], points: int) -> None:
    sums[key] = sums.get(key, 0) + points  # a Counter's own way takes three times as long


def _exactly(by_rule: Mapping[str, Exact], scale: int) -> dict[str, Fraction]:
    return {rule: Fraction(points) / scale for rule, points in by_rule.items()}
