"""Rewards for tests: a ledger with a catalogue, in a few words."""

from typing import Any

from loyalty.engine import catalogue, vouchers
from loyalty.rewards.model import RewardTerms
from loyalty.types import Cancellation, Claim
from tests.builders import Ledger, fresh

LAMP = RewardTerms("Desk lamp", "gift", 300)
CASH = RewardTerms("Ten off", "cash", 1000, 1000, valid_days=30, unlimited=True)


class Shop:
    """A ledger with a catalogue, in a few words."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.engine = ledger.engine

    async def put(self, reward_id: str, terms: RewardTerms, units: int = 0) -> None:
        await catalogue.put_reward(self.engine, reward_id, terms, "k-ops")
        if units:
            await self.stock(reward_id, units)

    async def stock(self, reward_id: str, units: int, stock_id: str | None = None) -> Any:
        return await catalogue.move_stock(
            self.engine, reward_id, stock_id or fresh("stock"), units, None, "k-ops"
        )

    async def left(self, reward_id: str) -> int | None:
        return (await catalogue.reward(self.engine, reward_id)).stock

    async def claim(self, reward_id: str, member: str = "ada", id: str | None = None) -> Any:
        return await self.ledger.do(Claim(id or fresh("c"), reward_id, member))

    async def cancel(self, claim_id: str) -> Any:
        return await self.ledger.do(Cancellation(claim_id))

    async def use(self, code: str, use_id: str = "u1", purchase_id: str | None = None) -> Any:
        return await vouchers.use_voucher(self.engine, code, use_id, purchase_id)

    async def status(self, code: str) -> str:
        return (await vouchers.voucher(self.engine, code)).status

    async def statuses(self, member: str = "ada") -> list[tuple[str, str]]:
        return [(one.claim_id, one.status) for one in (await vouchers.vouchers(self.engine, member)).vouchers]
