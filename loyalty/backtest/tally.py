"""What a replay adds up to. Sums are mergeable: ranges of accounts are counted in different processes.

Points are signed as entries are. Months are local ones of the newest program's time zone; what occurred before the
period counts as its opening, what occurred after it is left out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from fractions import Fraction

from msgspec import Struct

from loyalty.backtest.books import ReplayBook
from loyalty.backtest.history import Family, TierChange
from loyalty.backtest.sides import Side
from loyalty.backtest.stretches import OPENING, Stretches, month_of, stretches
from loyalty.calendar import Calendar
from loyalty.engine.facts import Scaled
from loyalty.ledger.rows import TierRow
from loyalty.ledger.state import Journal
from loyalty.rules.exact import Exact
from loyalty.types import Engagement, Purchase, Request, Return, UnlinkedReturn

_EARNING = (Purchase, Engagement)
_JUDGED = ("earn", "clawback")
_REDEEMED = ("redeem", "restore")


class Gave(Struct):
    """What a rule gave: exact points times a scale, on so many purchases and events."""

    points: Exact = 0
    times: int = 0


def _by_rule() -> defaultdict[str, Gave]:
    return defaultdict(Gave)


def _by_scale() -> defaultdict[int, defaultdict[str, Gave]]:
    return defaultdict(_by_rule)


@dataclass(slots=True)
class Sums:
    """Everything counted on one side.

    moved: points of entries by (month, tier, kind); what is earned and clawed back by the tier that judged
    it, all else by the tier that the account stood in. gave: by scale and rule; returned: exact points by rule.
    capped: count, wanted and made points by kind.
    ends: members and outstanding points by tier. changes: promotions, renewals and falls of tiers. budgets: net use.
    demand: use of budgets by rule and hour (of the Unix clock).
    """

    moved: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    gave: defaultdict[int, defaultdict[str, Gave]] = field(default_factory=_by_scale)
    returned: dict[str, Fraction] = field(default_factory=dict)
    capped: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    budgets: Counter[str] = field(default_factory=Counter)
    demand: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, other: "Sums") -> None:
        for part in fields(self):
            if part.name == "gave":
                continue
            mine, theirs = getattr(self, part.name), getattr(other, part.name)
            for key, value in theirs.items():
                mine[key] = mine.get(key, 0) + value
        for scale, rules in other.gave.items():
            known = self.gave[scale]
            for rule, gave in rules.items():
                one = known[rule]
                one.points += gave.points
                one.times += gave.times


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
        self._seen = side.seen
        self.sums = Sums()
        program = side.versions[-1].program
        self.lowest = program.tiers[0].id
        self.ranks = {tier.id: rank for rank, tier in enumerate(program.tiers)}
        self._months: dict[date, str] = {}
        self._start, self._end = period.start, period.end
        self._tier = self.lowest
        self._at = period.end
        self._subjects: set[str] = set()
        self._kept: dict[str, dict[str, Fraction]] = {}
        self.redeemed = 0
        """Of the family, in the period."""
        self.points = 0
        """Of the family, at the end of the period."""

    # -- a family --------------------------------------------------------------------------------------------------

    def start(self, family: Family) -> None:
        """Another family begins."""
        self._subjects = family.subjects
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
        self._seen.award = None

    def took(self, book: ReplayBook, journal: Journal, request: Request | None) -> None:  # noqa: ARG002 -- a Sink
        award, stood = self._seen.award, self._tier
        judged = stood if award is None else self._seen.tier
        for entry in journal.entries:
            kind = entry.kind
            self._moved(entry.occurred_at, kind, judged if kind in _JUDGED else stood, entry.points)
        if journal.tiers:
            self._changed(journal.tiers)
        if award is None or request is None:
            return
        if isinstance(request, _EARNING):
            given = [(draft.rule.id, draft.total) for draft in award.drafts if draft.total]
            self._gave(given, award.scale, request)
        else:
            self._took_back(award.by_rule, award.scale, request)

    # -- as it is recorded -----------------------------------------------------------------------------------------

    def earned(
        self,
        request: Purchase | Engagement,
        tier: str,
        points: int,
        by_rule: Mapping[str, Scaled] | None,
        scale: int,
    ) -> None:
        """Points that the ledger gave, judged by that tier, and what each rule gave of them, times `scale`; None: that
        is known already."""
        if points:
            self._moved(request.occurred_at, "earn", tier, points)
        if by_rule is not None:
            self._at = request.occurred_at
            self._gave(by_rule.items(), scale, request)

    def took_back(
        self, by_rule: Mapping[str, Exact], scale: int, request: Return | UnlinkedReturn, at: datetime
    ) -> None:
        """What each rule gave for returned goods, or is left of it after a return; points times `scale`."""
        self._at = at
        self._took_back(by_rule, scale, request)

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
            sums.moved[month, tier or self.lowest, kind] += points
            if kind in _REDEEMED and month != OPENING:
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
        if occurred_at >= self._end:
            return
        self.points += points
        if self._start is not None and occurred_at < self._start:
            month = OPENING
        else:
            day = self.period.calendar.day(occurred_at)
            month = self._months.get(day) or self._months.setdefault(day, month_of(day))
            if kind in _REDEEMED:
                self.redeemed -= points
        key, moved = (month, tier, kind), self.sums.moved
        moved[key] = moved.get(key, 0) + points  # a Counter's own way takes three times as long

    def _changed(self, changes: Iterable[TierRow | TierChange]) -> None:
        for change in changes:
            if not self.period.counts(change.at):
                continue
            before, after = self.ranks[change.previous or self.lowest], self.ranks[change.tier]
            how = "renewal" if before == after else "promotion" if after > before else "fall"
            self.sums.changes[how] += 1

    def _gave(
        self, by_rule: Iterable[tuple[str, Exact | str]], scale: int, request: Purchase | Engagement
    ) -> None:
        if self._subjects and isinstance(request, Purchase) and request.purchase_id in self._subjects:
            self._kept[request.purchase_id] = _exactly(dict(by_rule), scale)
        if self._start is not None and self._at < self._start:
            return
        known = self.sums.gave[scale]
        for rule, points in by_rule:
            one = known[rule]
            one.points += Fraction(points) if isinstance(points, str) else points
            one.times += 1

    def _took_back(self, by_rule: Mapping[str, Exact], scale: int, request: Request) -> None:
        if not self.period.counts(self._at):
            return
        if isinstance(request, Return):
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


def _exactly(by_rule: Mapping[str, Exact | str], scale: int) -> dict[str, Fraction]:
    return {rule: Fraction(points) / scale for rule, points in by_rule.items()}
