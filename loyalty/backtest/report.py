"""What a backtest says, as values: the JSON of `--json` and of the job.

Points are integers, signed as a reader expects them (redeemed, expired and clawed back points above zero); amounts are
integers of the currency's minor unit, at the rate of the program of their side. Exact points of a rule that is not
whole are rounded down here, once, for the whole period.
"""

from datetime import datetime

from msgspec import Struct

REST = "rest"
"""The row beside the rules: what rounding and forgiveness make."""


class Points(Struct, frozen=True):
    """Points, and what they are worth in minor units."""

    points: int = 0
    amount: int = 0


class Movement(Struct, frozen=True):
    """What moved. cost: of what was issued and kept (issued - clawed_back). adjusted is signed."""

    issued: int
    clawed_back: int
    redeemed: int
    expired: int
    adjusted: int
    cost_amount: int
    redeemed_amount: int


class Pair(Struct, frozen=True):
    """The same of what was in force, and under the candidate."""

    now: Movement
    candidate: Movement


class MonthRow(Struct, frozen=True):
    """A local month. outstanding: what all members had at its end (debts deducted), and what it was worth."""

    month: str
    now: Movement
    candidate: Movement
    outstanding_now: Points
    outstanding: Points


class TierRow(Struct, frozen=True):
    """What moved in a tier, and who was in it at the end with how many points.

    What was earned, and clawed back of it, counts for the tier that the purchase was judged by; all else for the tier
    that the member stood in when it was recorded.
    """

    tier: str
    now: Movement
    candidate: Movement
    members_now: int
    members: int
    outstanding_now: Points
    outstanding: Points


class RuleSum(Struct, frozen=True):
    """What a rule gave: purchases that it touched, points given and taken back by returns, and the cost of the rest."""

    purchases: int
    issued: int
    clawed_back: int
    cost_amount: int


class RuleRow(Struct, frozen=True):
    """A rule of either program; None: that one has no such rule. `rest` is what rounding and forgiveness make."""

    rule: str
    now: RuleSum | None
    candidate: RuleSum | None


class BudgetRow(Struct, frozen=True):
    """A rule with a budget under the candidate. ran_out_at: the hour from which it gave nothing more."""

    rule: str
    budget_points: int
    used_points: int
    used_amount: int
    ran_out_at: datetime | None


class Capped(Struct, frozen=True):
    """Recorded redemptions (or points taken by hand) that could not be made whole. dropped: not made at all."""

    kind: str
    count: int
    dropped: int
    wanted_points: int
    made_points: int


class Refused(Struct, frozen=True):
    """Recorded requests that would have been refused, by what they were and the problem's code."""

    kind: str
    code: str
    count: int


class GainRow(Struct, frozen=True):
    """Members whose gain lies from `least` to `most`, both included, in minor units or points (see `gains_in`)."""

    least: int
    most: int
    members: int


class MemberRow(Struct, frozen=True):
    """One member: points redeemed in the period and left at its end, and what is gained."""

    member_id: str
    gain: int
    redeemed_now: int
    left_now: int
    tier_now: str
    redeemed: int
    left: int
    tier: str


class MatrixRow(Struct, frozen=True):
    """Members in a tier at the end as things are, by their tier under the candidate."""

    tier_now: str
    members: dict[str, int]


class TierChanges(Struct, frozen=True):
    """Changes of tier in the period."""

    promotions: int
    renewals: int
    falls: int


class Side(Struct, frozen=True):
    """One side. version: of the program in force at the end; None for the candidate."""

    name: str
    version: int | None
    total: Movement
    outstanding: Points
    held: int
    debt: int
    tier_changes: TierChanges
    capped: list[Capped]
    refused: list[Refused]


class Reproduced(Struct, frozen=True):
    """Whether replaying what was in force came to what the ledger holds. Not checked when the period ends early.

    accounts: so many were replayed; all of them where that was asked for. different: of these.
    """

    checked: bool
    accounts: int
    different: int
    examples: list[str]


class Report(Struct, frozen=True):
    """A backtest's result. `gains_in`: `amount` where both programs redeem, else `points`."""

    currency: str
    time_zone: str
    as_of: datetime
    start: datetime | None
    end: datetime
    accounts: int
    members: int
    postings: int
    purchases: int
    seconds: float
    purchases_per_second: float
    processes: int
    passes: int
    reproduced: Reproduced
    now: Side
    candidate: Side
    months: list[MonthRow]
    tiers: list[TierRow]
    rules: list[RuleRow]
    budgets: list[BudgetRow]
    gains_in: str
    winners: int
    losers: int
    unchanged: int
    gains: list[GainRow]
    most_gained: list[MemberRow]
    most_lost: list[MemberRow]
    matrix: list[MatrixRow]
