"""What is told of members."""

from datetime import date, datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class MemberAnswer(Struct, frozen=True):
    """A member. `identifiers` are written as references: `phone:+8613800000001`."""

    member_id: str
    identifiers: list[str]
    name: str | None
    birthday: date | None
    enrolled_at: datetime
    tier: str
    status: Literal["active", "blocked"]
    merged_into: str | UnsetType = UNSET


class MemberPage(Struct, frozen=True):
    """Members found, and the cursor behind them when there are more."""

    members: list[MemberAnswer]
    next_cursor: str | None


class TokenAnswer(Struct, frozen=True):
    """A token: send it as a key, with paths that name the member by `member_id`."""

    token: str
    member_id: str
    expires_at: datetime
