"""Rewards: the catalogue and its stock, kept by ops, and what members claim of it."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from loyalty.api.auth import ALL, OPS, SHOPS, STAFF, caller
from loyalty.api.contract import call
from loyalty.api.posting import submit
from loyalty.api.reading import Call, context, id_in_path, in_path, read_json, read_optional_json
from loyalty.api.reply import Reply, created, ended, recorded, reply
from loyalty.engine import catalogue
from loyalty.engine.answers import CancellationAnswer, ClaimAnswer
from loyalty.engine.validate import validate
from loyalty.errors import (
    FieldError,
    IdConflict,
    InsufficientPoints,
    InvalidRequest,
    MemberBlocked,
    OutOfStock,
    RewardNotAvailable,
    RewardNotForTier,
    UnknownClaim,
    UnknownMember,
    UnknownReward,
    VoucherUsed,
)
from loyalty.rewards.answers import Reward, Rewards, StockMove
from loyalty.rewards.model import RewardTerms
from loyalty.types import MAX_AMOUNT, Cancellation, Claim, LongText, MemberRef, RequestId, RewardId


class StockBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Units that come into stock, or below zero leave it; not 0. What claims take is counted by itself."""

    stock_id: RequestId
    units: Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
    reason: LongText | None = None


class ClaimBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes the reward in the path."""

    claim_id: RequestId
    member: MemberRef


class CancellationBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is said: the claim in the path is taken back."""


_terms = msgspec.json.Decoder(RewardTerms)
_stock = msgspec.json.Decoder(StockBody)
_claim = msgspec.json.Decoder(ClaimBody)
_cancellation = msgspec.json.Decoder(CancellationBody)


@call("GET", "/v1/rewards", roles=STAFF, tag="Rewards", answers={200: Rewards})
async def list_rewards(request: Call) -> Reply:
    """List the whole catalogue, also what cannot be claimed today."""
    return reply(await catalogue.rewards(context(request).engine))


@call(
    "GET",
    "/v1/rewards/{reward_id:str}",
    roles=STAFF,
    tag="Rewards",
    answers={200: Reward},
    problems=(UnknownReward,),
)
async def read_reward(request: Call) -> Reply:
    """Read a reward as it is on offer, with its stock."""
    return reply(await catalogue.reward(context(request).engine, in_path(request, "reward_id")))


@call(
    "GET",
    "/v1/members/{member:str}/rewards",
    roles=ALL,
    tag="Rewards",
    answers={200: Rewards},
    problems=(UnknownMember,),
)
async def list_rewards_for(request: Call) -> Reply:
    """List what a member may claim today, and whether the points are there."""
    return reply(await catalogue.rewards_for(context(request).engine, in_path(request, "member")))


@call(
    "PUT",
    "/v1/rewards/{reward_id:str}",
    roles=OPS,
    tag="Rewards",
    body=RewardTerms,
    example=RewardTerms(name="Desk lamp", kind="gift", points=2000, tiers=("silver", "gold"), valid_days=30),
    answers={201: Reward, 200: Reward},
)
async def put_reward(request: Call) -> Reply:
    """Make a reward, or a new version of it, in force at once.

    Claims that were made stay as they were. The same terms again change nothing. A reward whose stock is counted has
    none to begin with. To withdraw one, set `until`.
    """
    reward_id = _reward_id(request)
    terms = await read_json(request, _terms)
    made, is_new = await catalogue.put_reward(
        context(request).engine, reward_id, terms, caller(request).key_id
    )
    return reply(made, 201 if is_new else 200)


@call(
    "POST",
    "/v1/rewards/{reward_id:str}/stock",
    roles=OPS,
    tag="Rewards",
    body=StockBody,
    example=StockBody(stock_id="DELIVERY-7", units=20),
    answers={201: StockMove, 200: StockMove},
    problems=(UnknownReward, IdConflict, OutOfStock),
    replays=True,
)
async def move_stock(request: Call) -> Reply:
    """Add units to the stock, or take some that are no longer there."""
    reward_id = _reward_id(request)
    body = await read_json(request, _stock)
    return recorded(
        *await catalogue.move_stock(
            context(request).engine, reward_id, body.stock_id, body.units, body.reason, caller(request).key_id
        )
    )


@call(
    "POST",
    "/v1/rewards/{reward_id:str}/claims",
    roles=SHOPS,
    tag="Rewards",
    body=ClaimBody,
    example=ClaimBody(claim_id="WEB-CLAIM-3", member="phone:+8613800000001"),
    answers={201: ClaimAnswer, 200: ClaimAnswer},
    problems=(
        UnknownReward,
        UnknownMember,
        IdConflict,
        RewardNotAvailable,
        RewardNotForTier,
        OutOfStock,
        InsufficientPoints,
        MemberBlocked,
    ),
    replays=True,
)
async def claim_reward(request: Call) -> Reply:
    """Claim a reward: its price in points is taken, and a voucher given that can be used once.

    Points, stock and voucher move together or not at all.
    """
    reward_id = _reward_id(request)
    body = await read_json(request, _claim)
    asked = Claim(body.claim_id, reward_id, body.member)
    validate(asked)
    return created(await submit(request, asked))


@call(
    "POST",
    "/v1/claims/{claim_id:str}/cancel",
    roles=STAFF,
    tag="Rewards",
    body=CancellationBody,
    body_required=False,
    example={},
    answers={200: CancellationAnswer},
    problems=(UnknownClaim, VoucherUsed),
    replays=True,
)
async def cancel_claim(request: Call) -> Reply:
    """Cancel a claim whose voucher was not used: the points go back, the unit too, and the voucher is void."""
    claim_id = id_in_path(request, "claim_id")
    await read_optional_json(request, _cancellation)
    return ended(await submit(request, Cancellation(claim_id)))


def _reward_id(request: Call) -> str:
    try:
        return msgspec.convert(in_path(request, "reward_id"), RewardId)
    except msgspec.ValidationError:
        message = "should be 1 to 64 characters of A-Z a-z 0-9 . _ -, a letter or digit first"
        raise InvalidRequest(f"reward_id: {message}", errors=[FieldError("reward_id", message)]) from None


HANDLERS = (list_rewards, read_reward, list_rewards_for, put_reward, move_stock, claim_reward, cancel_claim)
