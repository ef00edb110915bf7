"""Vouchers: what claims gave, read by their members and used once at the tills."""

import msgspec
from msgspec import Struct

from loyalty.api.auth import ALL, SHOPS, STAFF
from loyalty.api.contract import call
from loyalty.api.reading import Call, context, in_path, read_json
from loyalty.api.reply import Reply, recorded, reply
from loyalty.engine import vouchers
from loyalty.errors import (
    IdConflict,
    UnknownMember,
    UnknownVoucher,
    VoucherCancelled,
    VoucherExpired,
    VoucherUsed,
)
from loyalty.rewards.answers import VoucherRecord, Vouchers, VoucherUse
from loyalty.types import RequestId


class UseBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The use's own id, and the purchase that the voucher is used with, if one."""

    use_id: RequestId
    purchase_id: RequestId | None = None


_use = msgspec.json.Decoder(UseBody)


@call(
    "GET",
    "/v1/vouchers/{code:str}",
    roles=STAFF,
    tag="Rewards",
    answers={200: VoucherRecord},
    problems=(UnknownVoucher,),
)
async def read_voucher(request: Call) -> Reply:
    """Read a voucher by its code: what it is for, whose it is, and whether it can be used."""
    return reply(await vouchers.voucher(context(request).engine, in_path(request, "code")))


@call(
    "POST",
    "/v1/vouchers/{code:str}/use",
    roles=SHOPS,
    tag="Rewards",
    body=UseBody,
    example=UseBody(use_id="POS-17/V/0009", purchase_id="POS-17/2026-11-11/0042"),
    answers={201: VoucherUse, 200: VoucherUse},
    problems=(UnknownVoucher, VoucherUsed, VoucherCancelled, VoucherExpired, IdConflict),
    replays=True,
)
async def use_voucher(request: Call) -> Reply:
    """Use a voucher, once: hand over what it is for when this answers 201, or 200 to the same `use_id`."""
    body = await read_json(request, _use)
    return recorded(
        *await vouchers.use_voucher(
            context(request).engine, in_path(request, "code"), body.use_id, body.purchase_id
        )
    )


@call(
    "GET",
    "/v1/members/{member:str}/vouchers",
    roles=ALL,
    tag="Rewards",
    answers={200: Vouchers},
    problems=(UnknownMember,),
)
async def list_vouchers(request: Call) -> Reply:
    """List a member's vouchers, newest first."""
    return reply(await vouchers.vouchers(context(request).engine, in_path(request, "member")))


HANDLERS = (read_voucher, use_voucher, list_vouchers)
