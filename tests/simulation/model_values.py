"""What an account's books are made of: lots, holds, redemptions, what counts for the tier; how long points live."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from loyalty.calendar import END_OF_TIME, Calendar, calendar_of, shift_days
from loyalty.program.model import ExpireAfter, ExpireFixed, ExpireInactivity, Program

if TYPE_CHECKING:
    from .model_account import Account

START_OF_TIME = datetime(1, 1, 1, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)


class Lot:
    def __init__(
        self,
        number: int,
        points: int,
        earned_at: datetime,
        spendable_from: datetime,
        expires_at: datetime | None,
        idle: bool,
        purchase_id: str | None,
    ) -> None:
        self.number, self.points, self.left = number, points, points
        self.earned_at, self.spendable_from = earned_at, spendable_from
        self.expires_at, self.idle, self.purchase_id = expires_at, idle, purchase_id
        self.born_at = self.born_known = earned_at
        self.uses: list[tuple[datetime, datetime, int]] = []
        """When it happened, when it was known, and how many points."""


Uses = list[tuple[Lot, int]]


class Held(Struct):
    """A hold on an account: when it was taken and when it ended, each with the instant from which it was known."""

    redeemed: "Redeemed"
    at: datetime
    known: datetime
    ended_at: datetime = NEVER
    ended_known: datetime = NEVER


class Redeemed:
    """A redemption: held until its end, or captured; `uses` are its lots in the order of use."""

    def __init__(self, redemption_id: str, account: "Account", points: int, amount: int, uses: Uses) -> None:
        self.redemption_id, self.account = redemption_id, account
        self.points, self.amount, self.uses = points, amount, uses
        self.until: datetime | None = None
        self.ending: tuple[str, int | None] | None = None
        self.ended_answer: dict[str, Any] | None = None
        self.captured = points
        self.is_hold = False
        self.given_back = 0
        self.reversed_whole: dict[str, Any] | None = None
        self.skip = 0
        self.captured_amount = amount
        self.repaid_in_basket = 0


class Counted(Struct, frozen=True):
    """A row of what counts for the tier, or a change of it, with the posting's instant and when it was known."""

    row: Any
    at: datetime
    known: datetime


def fixed_end(calendar: Calendar, expiry: ExpireFixed, start: datetime) -> datetime:
    """The first end of the yearly day after `start` that leaves `min_days` local days."""
    least = calendar.add_days(start, expiry.min_days)
    year = calendar.day(start).year - 1
    while True:
        try:
            day = date(year, expiry.month, expiry.day)
        except ValueError:
            day = date(year, 2, 28)
        end = calendar.day_start(shift_days(day, 1))
        if end > start and end >= least:
            return end
        year += 1


def life(program: Program, start: datetime) -> tuple[datetime | None, bool]:
    """When a life that starts at `start` ends, and whether it hangs on the account's activity instead."""
    calendar, expiry = calendar_of(program.time_zone), program.points.expiry
    end = NEVER
    if isinstance(expiry, ExpireInactivity):
        return None, True
    if isinstance(expiry, ExpireAfter):
        end = calendar.add(start, expiry.period)
        if expiry.round_to:
            end = calendar.unit_end(end, expiry.round_to)
    elif isinstance(expiry, ExpireFixed):
        end = fixed_end(calendar, expiry, start)
    return (None if end >= END_OF_TIME else end), False
