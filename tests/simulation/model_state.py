"""What the model knows between requests, and the words that its parts share."""

from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from loyalty.program.model import Program
from loyalty.rewards.model import RewardTerms
from loyalty.types import Enrolment, Purchase, PurchaseLine

from .model_account import Account
from .model_rules import Award, Facts, Goods
from .model_values import START_OF_TIME, Redeemed

AHEAD = timedelta(minutes=5)
ANY = object()
"""Stands in an expected answer for what the design leaves open."""


class Refused(Exception):
    """A refusal: its code (one of several where several reasons hold) and the facts that it must carry."""

    def __init__(self, code: str, *others: str, **facts: Any) -> None:
        super().__init__(code)
        self.code, self.codes, self.facts = code, (code, *others), facts


class Bought:
    """A purchase as it was judged, and what is left of it."""

    def __init__(self, account: Account, request: Purchase, version: int, facts: Facts, award: Award) -> None:
        self.account, self.request, self.version, self.facts = account, request, version, facts
        self.lines = {line.line or 0: line for line in numbered(request.lines)}
        self.amount_back = dict.fromkeys(self.lines, 0)
        self.quantity_back = dict.fromkeys(self.lines, Fraction(0))
        self.kept, self.base, self.charges = award.points, floor(award.base), award.charges
        self.total = sum(line.amount for line in request.lines)
        self.redeemed: Redeemed | None = None
        self.restored = self.refunded = 0
        self.gone = False
        self.earned = award.points


def numbered(lines: tuple[PurchaseLine, ...]) -> list[PurchaseLine]:
    """Lines are numbered from 1 where they carry no number, by their place."""
    return [replace(line, line=at if line.line is None else line.line) for at, line in enumerate(lines, 1)]


def goods(lines: list[PurchaseLine]) -> list[Goods]:
    return [
        Goods(line.line or 0, line.sku, line.amount, Fraction(line.quantity), line.category, line.tags)
        for line in lines
    ]


class Answered(Struct):
    """A request that was recorded, for whom, and its answer."""

    request: Any
    account: Account | None
    answer: dict[str, Any]


class State:
    """Members, programs and what was recorded, as plain dictionaries."""

    def __init__(self, program: Program) -> None:
        self.now = START_OF_TIME
        self.programs: list[tuple[datetime, Program]] = [(START_OF_TIME, program)]
        self.members: dict[str, Account] = {}
        """By the member_id that they enrolled with, merged and erased ones too."""
        self.names: dict[str, str] = {}
        """Which member_id a name means now."""
        self.answers: dict[tuple[str, str], Answered] = {}
        self.bought: dict[str, Bought] = {}
        self.redemptions: dict[str, Redeemed] = {}
        self.budgets: dict[str, int] = {}
        self.rewards: dict[str, RewardTerms] = {}
        self.stock: dict[str, int] = {}
        self.stock_moves: dict[str, dict[str, Any]] = {}
        self.claims: dict[str, Any] = {}
        self.uses: dict[str, str] = {}
        """The claim whose voucher a use was of."""

    def version_at(self, at: datetime) -> tuple[int, Program]:
        """Of those in force by then, the one that became effective last; of two at once, the later put."""
        found = [(since, n) for n, (since, _) in enumerate(self.programs, 1) if since <= at]
        n = max(found)[1]
        return n, self.programs[n - 1][1]

    def put_program(self, program: Program, effective_from: datetime) -> None:
        self.programs.append((effective_from, program))

    def enrol(self, enrolment: Enrolment) -> None:
        member_id = enrolment.member_id or ""
        enrolled_at = enrolment.enrolled_at or self.now
        account = Account(member_id, enrolled_at, enrolment.birthday, self.version_at, self.programs)
        self.members[member_id] = account
        self.names[member_id] = member_id
        for scheme in ("phone", "card", "email", "ext"):
            if (value := getattr(enrolment, scheme)) is not None:
                self.names[f"{scheme}:{value}"] = member_id

    def member(self, name: str) -> Account:
        if name not in self.names:
            raise Refused("unknown-member")
        return self.members[self.names[name]]

    def check_time(self, at: datetime) -> None:
        if at > self.now + AHEAD:
            raise Refused("future-time")

    @staticmethod
    def forfeit_of_nobody(account: Account) -> None:
        """Nobody stands behind an erased account: what it has is forfeited, what it owes let go."""
        if not account.erased:
            return
        account.enter("adjust", account.debt - sum(lot.left for lot in account.lots))
        for lot in account.open_lots():
            account.use(lot, lot.left)
        account.debt = 0
