"""Vouchers that claims gave: who has which, and their use at the tills, once. How they are given: claims.py."""

from datetime import datetime
from typing import Literal

import asyncpg
from asyncpg import Connection

from loyalty.engine.access import Access
from loyalty.engine.reads import where_is
from loyalty.errors import IdConflict, UnknownVoucher, VoucherCancelled, VoucherExpired, VoucherUsed
from loyalty.ledger import store as ledger
from loyalty.rewards import store
from loyalty.rewards.answers import VoucherRecord, Vouchers, VoucherUse
from loyalty.rewards.codes import read_code
from loyalty.rewards.store import Voucher


async def voucher(engine: Access, code: str) -> VoucherRecord:
    """A voucher as it stands. Raises UnknownVoucher."""
    async with engine.pool.acquire() as connection:
        return _record(await _voucher(connection, code), await ledger.ledger_now(connection))


async def vouchers(engine: Access, member: str) -> Vouchers:
    """A member's vouchers, those of members merged into this one too. Raises UnknownMember."""
    async with engine.pool.acquire() as connection:
        found = await store.of_account(connection, *await where_is(engine, connection, member))
        now = await ledger.ledger_now(connection)
    return Vouchers([_record(one, now) for one in found])


async def use_voucher(
    engine: Access, code: str, use_id: str, purchase_id: str | None
) -> tuple[VoucherUse, bool]:
    """Uses a voucher, once. Returns the use, and whether it was recorded before.

    Raises UnknownVoucher, VoucherUsed, VoucherCancelled, VoucherExpired, or IdConflict.
    """
    async with engine.pool.acquire() as connection:
        found = await _voucher(connection, code)
        replayed = True
        if found.ending is None:
            try:
                replayed = not await connection.fetchval(
                    "select use_voucher($1, $2, $3)", found.code, use_id, purchase_id
                )
                found = await _voucher(connection, code)
            except asyncpg.UniqueViolationError:
                found = await _voucher(connection, code)
                if found.use_id != use_id:  # else the same use met itself, and the other of them is on record
                    raise _other_use(use_id) from None
        elif found.use_id != use_id and await connection.fetchval(
            "select exists (select from voucher_end where use_id = $1)", use_id
        ):
            raise _other_use(use_id)
    if found.ending == "cancelled":
        raise VoucherCancelled(
            "The claim of this voucher was cancelled; it is worth nothing.", cancelled_at=found.ended_at
        )
    if found.ending is None:
        raise VoucherExpired("This voucher is no longer valid.", valid_until=found.valid_until)
    if found.use_id != use_id:
        raise VoucherUsed("This voucher was used already.", used_at=found.ended_at, use_id=found.use_id)
    if found.purchase_id != purchase_id:
        raise _other_use(use_id)
    assert found.ended_at is not None, "it has ended"
    terms = found.terms
    return VoucherUse(
        found.code, use_id, found.reward_id, terms.name, terms.kind, terms.amount, purchase_id, found.ended_at
    ), replayed


def _other_use(use_id: str) -> IdConflict:
    return IdConflict(
        f"The use id {use_id} was used before, for something else. Nothing was changed. Use an id of its own."
    )


async def _voucher(connection: Connection, typed: str) -> Voucher:
    code = read_code(typed)
    found = await store.by_code(connection, code) if code is not None else None
    if found is None:
        raise UnknownVoucher("No voucher has this code. Codes have 16 letters and digits.")
    return found


def _record(found: Voucher, now: datetime) -> VoucherRecord:
    status: Literal["open", "used", "cancelled", "expired"] = found.ending or "open"
    if status == "open" and found.valid_until is not None and found.valid_until <= now:
        status = "expired"
    used = found.ending == "used"
    return VoucherRecord(
        code=found.code,
        status=status,
        claim_id=found.claim_id,
        member_id=found.member_id,
        reward_id=found.reward_id,
        name=found.terms.name,
        kind=found.terms.kind,
        points=found.terms.points,
        amount=found.terms.amount,
        claimed_at=found.claimed_at,
        valid_until=found.valid_until,
        used_at=found.ended_at if used else None,
        use_id=found.use_id,
        purchase_id=found.purchase_id,
    )
