"""What the decisions of one batch see: the clock, the programs, the locked books, and what was read for them."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import ParamSpec

from msgspec import Struct

from loyalty.engine.answers import BalanceAnswer, encode
from loyalty.engine.facts import to_text
from loyalty.engine.programs import Programs, ProgramVersion
from loyalty.errors import FutureTime
from loyalty.ledger.book import Book
from loyalty.ledger.life import Life, restored_expiry
from loyalty.ledger.rows import EVER, BudgetRow, CounterRow, PostingRow
from loyalty.ledger.state import Journal, UsedLot
from loyalty.ledger.store import SubjectPosting
from loyalty.rewards.model import Offer
from loyalty.rewards.store import Settlement, Voucher
from loyalty.rules.award import Award
from loyalty.rules.birthday import birthday_matches, birthday_years
from loyalty.rules.facts import Used, UsedBefore
from loyalty.tiers.model import Change, Qualifying

P = ParamSpec("P")

AHEAD = timedelta(minutes=5)
"""How far a till's clock may be ahead of the ledger's."""


@dataclass(slots=True)
class Context:
    """One batch of one shard, under its locks.

    subjects: postings about (account, id) pairs that requests name. uses: lots that a posting redeemed or held.
    offers: rewards that are claimed. vouchers: those of claims that are cancelled. settlement: what both came to.
    pinned: by account and year, the birthday that the year's first award was given by. pins: those of this batch,
    sealed. rows, history: what counts for tiers, of the accounts where it may matter. counted, budgets: use of limited
    rules.
    """

    now: datetime
    programs: Programs
    journal: Journal = field(default_factory=Journal)
    books: dict[int, Book] = field(default_factory=dict)
    subjects: dict[tuple[int, str], list[SubjectPosting]] = field(default_factory=dict)
    uses: dict[tuple[int, int], list[UsedLot]] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    vouchers: dict[str, Voucher] = field(default_factory=dict)
    settlement: Settlement = field(default_factory=Settlement)
    rows: dict[int, list[Qualifying]] = field(default_factory=dict)
    history: dict[int, list[Change]] = field(default_factory=dict)
    birthdays: dict[int, date] = field(default_factory=dict)
    sealed_birthdays: dict[int, bytes] = field(default_factory=dict)
    pinned: dict[int, dict[int, date]] = field(default_factory=dict)
    pins: dict[tuple[int, int], bytes] = field(default_factory=dict)
    counted: dict[tuple[int, str, date], tuple[int, int]] = field(default_factory=dict)
    budgets: dict[str, int] = field(default_factory=dict)
    counter_changes: dict[tuple[int, str, date], tuple[int, int]] = field(
        default_factory=lambda: defaultdict(lambda: (0, 0))
    )
    budget_changes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def check_time(self, occurred_at: datetime) -> None:
        """Refuses what lies more than five minutes ahead of the ledger's clock."""
        if occurred_at > self.now + AHEAD:
            raise FutureTime(
                f"occurred_at {occurred_at.isoformat()} is more than 5 minutes ahead of the ledger's clock"
                f" ({self.now.isoformat()}). Check the clock of the sender.",
                now=self.now,
            )

    def remember(self, row: PostingRow) -> None:
        """Lets later requests of the batch find what an earlier one posted."""
        if not self.subjects:
            return
        for id in {row.id, row.subject}:
            if id is not None and (found := self.subjects.get((row.account, id))) is not None:
                found.append(
                    SubjectPosting(
                        row.account, row.number, row.kind, row.id, row.subject, row.occurred_at, row.recorded_at,
                        row.program_version, row.qualifying_amount, row.fingerprint, row.facts or "", row.answer,
                    )
                )  # fmt: skip

    # -- what is kept of a decision; a replay that nobody asks overrides these --------------------------------------

    def told(self, make: Callable[P, Struct], *of: P.args, **more: P.kwargs) -> bytes:
        """The bytes of an answer, which is made of these."""
        return encode(make(*of, **more))

    def noted(self, make: Callable[P, Struct], *of: P.args, **more: P.kwargs) -> str:
        """The facts of a decision as they are recorded, made of these."""
        return to_text(make(*of, **more))

    def birthday(self, account: int, day: date) -> frozenset[str]:
        """Which of day, week and month of the member's birthday a local day falls on."""
        return birthday_matches(self.birthdays.get(account), day, self.pinned.get(account))

    def pin_birthday(self, account: int, version: ProgramVersion, award: Award, day: date) -> None:
        """Keeps the birthday that an award was given by, where it is the first of that birthday's year."""
        sealed = self.sealed_birthdays.get(account)
        if sealed is None:
            return
        asked = {version.needs.birthdays.get(rule) for rule in award.by_rule}
        if not any(asked):
            return
        pinned = self.pinned.setdefault(account, {})
        for match, year in birthday_years(self.birthdays[account], day, pinned).items():
            if match in asked and year not in pinned:
                pinned[year] = self.birthdays[account]
                self.pins[account, year] = sealed

    # -- limits ----------------------------------------------------------------------------------------------------

    def used(self, account: int, version: ProgramVersion, day: date) -> dict[str, Used]:
        """How far the version's limited rules were used before, as far as somebody asks."""
        if not version.needs.counters:
            return {}
        used = UsedBefore()
        used.look = partial(self._used, account, version, day)
        return used

    def _used(self, account: int, version: ProgramVersion, day: date, rule: str) -> Used:
        times, points = self.counted.get((account, rule, EVER), (0, 0))
        times_day, _ = self.counted.get((account, rule, day), (0, 0))
        most = version.needs.limits[rule].budget_points
        left = None if most is None else max(0, most - self.budgets.get(rule, 0))
        return Used(times, times_day, points, left)

    def charge(
        self, account: int, version: ProgramVersion, day: date, rule: str, times: int, points: int
    ) -> None:
        """Adds to (or with negative values gives back) what an account, and all of them, used of a rule."""
        limit = version.needs.limits.get(rule)
        if limit is None or not (times or points):
            return
        for key in ((account, rule, EVER), (account, rule, day)):
            had, changed = self.counted.get(key, (0, 0)), self.counter_changes[key]
            self.counted[key] = (had[0] + times, had[1] + points)
            self.counter_changes[key] = (changed[0] + times, changed[1] + points)
        if limit.budget_points is not None and points:
            self.budgets[rule] = self.budgets.get(rule, 0) + points
            before, _ = self.budget_changes.get(rule, (0, 0))
            self.budget_changes[rule] = (before + points, limit.budget_points)

    def counter_rows(self) -> list[CounterRow]:
        return [
            CounterRow(account, rule, day, times, points)
            for (account, rule, day), (times, points) in self.counter_changes.items()
            if times or points
        ]

    def budget_rows(self) -> list[BudgetRow]:
        return [
            BudgetRow(rule, points, most) for rule, (points, most) in self.budget_changes.items() if points
        ]

    # -- lives -----------------------------------------------------------------------------------------------------

    def lives_given_back(self, book: Book, at: datetime) -> Callable[[datetime | None, bool], Life | None]:
        """The lives of points given back at `at`, from the expiry that they had and whether they were idle."""
        return lambda expires_at, idle: self._life_given_back(book, at, expires_at, idle)

    def _life_given_back(
        self, book: Book, at: datetime, expires_at: datetime | None, idle: bool
    ) -> Life | None:
        """The life of points given back at `at`; None where they die at once (DESIGN, Restoring)."""
        version = self.programs.at(at)
        ends_at = expires_at
        if idle:
            ends_at = self.programs.idle_deadline(book.head.active_at or at)
        back = restored_expiry(version.program.points, version.calendar, ends_at, at)
        if back is not None and back <= at:
            return None
        if idle and back == ends_at:
            return Life(at, None, True)
        return Life(at, back, False)


def balance_answer(book: Book) -> BalanceAnswer:
    """The balance as it stands in the book."""
    head, pending = book.head, book.pending
    return BalanceAnswer(head.balance, book.available_beside(pending), head.held, pending, head.debt)
