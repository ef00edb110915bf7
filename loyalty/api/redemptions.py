"""Redemptions: points turned into money at once, or held first; and how they end."""

import msgspec
from msgspec import Struct

from loyalty.api import examples
from loyalty.api.auth import SHOPS, STAFF
from loyalty.api.contract import call
from loyalty.api.posting import submit
from loyalty.api.reading import Call, context, id_in_path, read_json, read_optional_json
from loyalty.api.reply import Reply, created, ended, reply
from loyalty.engine.answers import RedemptionAnswer, RedemptionRecord, ReversalAnswer
from loyalty.engine.validate import validate
from loyalty.errors import (
    HoldEnded,
    IdConflict,
    InsufficientPoints,
    MemberBlocked,
    RedemptionNotAllowed,
    UnknownMember,
    UnknownRedemption,
)
from loyalty.types import Capture, Points, Redemption, Release, RequestId, Reversal


class CaptureBody(Struct, frozen=True, forbid_unknown_fields=True):
    """How many of the held points are spent; the rest is released. Without `points`: all."""

    points: Points | None = None


class ReleaseBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is said: the hold is given up whole."""


class ReversalBody(Struct, frozen=True, forbid_unknown_fields=True):
    """How many points are given back; then a `reversal_id` is needed. Without `points`: all that is left."""

    points: Points | None = None
    reversal_id: RequestId | None = None


_redemption = msgspec.json.Decoder(Redemption)
_capture = msgspec.json.Decoder(CaptureBody)
_release = msgspec.json.Decoder(ReleaseBody)
_reversal = msgspec.json.Decoder(ReversalBody)


@call(
    "POST",
    "/v1/redemptions",
    roles=SHOPS,
    tag="Redemptions",
    body=Redemption,
    example=examples.REDEMPTION,
    answers={201: RedemptionAnswer, 200: RedemptionAnswer},
    problems=(UnknownMember, IdConflict, InsufficientPoints, RedemptionNotAllowed, MemberBlocked),
    replays=True,
)
async def redeem(request: Call) -> Reply:
    """Redeem points, by `points` or by `amount`; with `hold` they are set aside until captured or released."""
    asked = await read_json(request, _redemption)
    validate(asked)
    return created(await submit(request, asked))


@call(
    "GET",
    "/v1/redemptions/{redemption_id:str}",
    roles=STAFF,
    tag="Redemptions",
    answers={200: RedemptionRecord},
    problems=(UnknownRedemption,),
)
async def read_redemption(request: Call) -> Reply:
    """Read a redemption."""
    return reply(await context(request).engine.redemption(id_in_path(request, "redemption_id")))


@call(
    "POST",
    "/v1/redemptions/{redemption_id:str}/capture",
    roles=STAFF,
    tag="Redemptions",
    body=CaptureBody,
    body_required=False,
    example={},
    answers={200: RedemptionAnswer},
    problems=(UnknownRedemption, HoldEnded, RedemptionNotAllowed),
    replays=True,
)
async def capture(request: Call) -> Reply:
    """Capture a hold. Capturing a part releases the rest."""
    redemption_id = id_in_path(request, "redemption_id")
    body = await read_optional_json(request, _capture)
    return ended(await submit(request, Capture(redemption_id, body.points)))


@call(
    "POST",
    "/v1/redemptions/{redemption_id:str}/release",
    roles=STAFF,
    tag="Redemptions",
    body=ReleaseBody,
    body_required=False,
    example={},
    answers={200: RedemptionAnswer},
    problems=(UnknownRedemption, HoldEnded),
    replays=True,
)
async def release(request: Call) -> Reply:
    """Release a hold: its points are free again."""
    redemption_id = id_in_path(request, "redemption_id")
    await read_optional_json(request, _release)
    return ended(await submit(request, Release(redemption_id)))


@call(
    "POST",
    "/v1/redemptions/{redemption_id:str}/reverse",
    roles=STAFF,
    tag="Redemptions",
    body=ReversalBody,
    body_required=False,
    example={},
    answers={200: ReversalAnswer},
    problems=(UnknownRedemption, HoldEnded, IdConflict, RedemptionNotAllowed),
    replays=True,
)
async def reverse(request: Call) -> Reply:
    """Reverse a captured redemption, in whole or, with a `reversal_id`, in part."""
    redemption_id = id_in_path(request, "redemption_id")
    body = await read_optional_json(request, _reversal)
    asked = Reversal(redemption_id, body.points, body.reversal_id)
    validate(asked)
    return ended(await submit(request, asked))


HANDLERS = (redeem, read_redemption, capture, release, reverse)
