"""Rewards, their stock and their vouchers in Postgres: the only caller of that SQL."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec
from asyncpg import Connection, Record

from loyalty.db.sql import query
from loyalty.rewards.model import Offer, RewardTerms

_terms = msgspec.json.Decoder(RewardTerms).decode


class VoucherRow(NamedTuple):
    """What a claim gave, in the order of the SQL row type. Immutable."""

    code: str
    account: int
    posting: int
    claim_id: str
    reward_id: str
    version: int
    counted: bool
    valid_until: datetime | None
    recorded_at: datetime


class CancelledRow(NamedTuple):
    """A voucher that ends with the cancellation of its claim, posted so. In the order of the SQL row type."""

    code: str
    account: int
    posting: int


@dataclass(slots=True)
class Settlement:
    """What claims and cancellations of a batch came to, beside their postings."""

    vouchers: list[VoucherRow] = field(default_factory=list)
    cancelled: list[CancelledRow] = field(default_factory=list)


class Voucher(NamedTuple):
    """A voucher as it stands. `member_id`: whose it is now."""

    code: str
    claim_id: str
    reward_id: str
    version: int
    terms: RewardTerms
    counted: bool
    valid_until: datetime | None
    claimed_at: datetime
    ending: Literal["used", "cancelled"] | None
    use_id: str | None
    purchase_id: str | None
    ended_at: datetime | None
    member_id: str


class Tally(NamedTuple):
    """How many claims of one version of a reward were made, and what became of them."""

    reward_id: str
    terms: RewardTerms
    claims: int
    used: int
    cancelled: int
    expired: int

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.claims, self.used, self.cancelled, self.expired


async def offers(connection: Connection, reward_ids: Sequence[str] | None = None) -> dict[str, Offer]:
    """Rewards in their newest versions, by id; None: all."""
    rows = await connection.fetch(query("rewards_newest"), reward_ids)
    return {
        row["reward_id"]: Offer(row["reward_id"], row["version"], _terms(row["terms"]), row["stock"])
        for row in rows
    }


async def by_code(connection: Connection, code: str) -> Voucher | None:
    rows = await connection.fetch(query("vouchers"), [code], None, None)
    return _voucher(rows[0]) if rows else None


async def by_claims(connection: Connection, claim_ids: Sequence[str]) -> dict[str, Voucher]:
    """The vouchers of claims, by the claim's id."""
    rows = await connection.fetch(query("vouchers"), None, claim_ids, None)
    return {row["claim_id"]: _voucher(row) for row in rows}


async def of_account(connection: Connection, shard: int, account: int) -> list[Voucher]:
    """All vouchers of an account and of those that went into it, newest first."""
    rows = await connection.fetch(query("family_accounts"), shard, account)
    rows = await connection.fetch(query("vouchers"), None, None, [row["account"] for row in rows])
    return [_voucher(row) for row in rows]


async def tallies(
    connection: Connection, from_at: datetime | None, until: datetime | None, now: datetime
) -> list[Tally]:
    """What became by `now` of the claims made from `from_at` up to `until`; None: no bound."""
    rows = await connection.fetch(query("reward_figures"), from_at, until, now)
    return [Tally(row["reward_id"], _terms(row["terms"]), *tuple(row)[2:]) for row in rows]


async def settle(connection: Connection, shard: int, settlement: Settlement) -> None:
    """Writes what was posted in this transaction into vouchers and stock; the last thing before the commit."""
    if settlement.vouchers or settlement.cancelled:
        await connection.execute(
            "select settle_claims($1, $2, $3)", shard, settlement.vouchers, settlement.cancelled
        )


def _voucher(row: Record) -> Voucher:
    return Voucher._make((*row[:4], _terms(row["terms"]), *row[5:]))
