"""The catalogue of rewards and its stock, kept by ops. What members take of it: claims.py."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
import msgspec
from asyncpg import Connection
from msgspec import UNSET, UnsetType

from loyalty import acts
from loyalty.engine.access import Access
from loyalty.engine.reads import book_now, where_is
from loyalty.engine.standing import standing_of_head
from loyalty.errors import FieldError, IdConflict, InvalidRequest, OutOfStock, UnknownReward
from loyalty.ledger import store as ledger
from loyalty.members.text import check_text
from loyalty.rewards import store
from loyalty.rewards.answers import Reward, Rewards, StockMove
from loyalty.rewards.model import Offer, RewardTerms, terms_errors
from loyalty.types import MAX_AMOUNT

_encode = msgspec.json.Encoder(order="deterministic").encode


async def put_reward(
    engine: Access, reward_id: str, terms: RewardTerms, author: str | None
) -> tuple[Reward, bool]:
    """Makes a reward, or a new version of it; the same terms again change nothing. Returns whether it was made.

    Raises InvalidRequest with everything that is wrong with the terms.
    """
    ((made, before),) = await put_rewards(engine, {reward_id: terms}, author)
    return made, before is None


async def put_rewards(
    engine: Access, wanted: Mapping[str, RewardTerms], author: str | None
) -> list[tuple[Reward, int | None]]:
    """Makes rewards, or new versions of them, all or none. Returns each, and which version it had before.

    Raises InvalidRequest with everything that is wrong with the terms of the first that cannot be.
    """
    programs = await engine.programs()
    async with engine.pool.acquire() as connection, connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtext('loyalty.reward_version'))")
        now = await ledger.ledger_now(connection)
        version = programs.at(now)
        tiers, today = {tier.id for tier in version.program.tiers}, version.calendar.day(now)
        known = await store.offers(connection, list(wanted))
        put = []
        for reward_id, terms in wanted.items():
            errors = terms_errors(terms, tiers)
            if errors:
                raise InvalidRequest(f"{reward_id}: {errors[0].path}: {errors[0].message}", errors=errors)
            before = known.get(reward_id)
            offer = before
            if offer is None or offer.terms != terms:
                offer = await _new_version(connection, reward_id, terms, before, author, now)
            put.append((_reward(offer, offer.is_open(today)), before.version if before else None))
        return put


async def _new_version(
    connection: Connection,
    reward_id: str,
    terms: RewardTerms,
    before: Offer | None,
    author: str | None,
    now: datetime,
) -> Offer:
    number, stock = (before.version + 1, before.stock) if before else (1, 0)
    await connection.execute(
        "insert into reward_version (reward_id, version, terms, author, recorded_at) values ($1, $2, $3, $4, $5)",
        reward_id, number, _encode(terms).decode(), author, now,
    )  # fmt: skip
    await acts.note(connection, "reward.put", reward_id, version=number)
    return Offer(reward_id, number, terms, stock)


async def rewards(engine: Access) -> Rewards:
    """The whole catalogue."""
    programs = await engine.programs()
    async with engine.pool.acquire() as connection:
        found = await store.offers(connection)
        now = await ledger.ledger_now(connection)
    today = programs.at(now).calendar.day(now)
    return Rewards([_reward(offer, offer.is_open(today)) for offer in found.values()])


async def rewards_for(engine: Access, member: str) -> Rewards:
    """What a member may claim today, whether the points are there or not. Raises UnknownMember."""
    async with engine.pool.acquire() as connection:
        found = await store.offers(connection)
        context, book = await book_now(
            engine, connection, await where_is(engine, connection, member), tiers=False
        )
    version = context.programs.at(book.recorded_at)
    today, tier = version.calendar.day(book.recorded_at), standing_of_head(version, book.head).tier
    return Rewards(
        [
            _reward(offer, True, offer.terms.points <= book.available)
            for offer in found.values()
            if offer.is_open(today) and offer.is_for(tier) and offer.left != 0
        ]
    )


async def reward(engine: Access, reward_id: str) -> Reward:
    """A reward as it is on offer. Raises UnknownReward."""
    programs = await engine.programs()
    async with engine.pool.acquire() as connection:
        offer = await _offer(connection, reward_id)
        now = await ledger.ledger_now(connection)
    return _reward(offer, offer.is_open(programs.at(now).calendar.day(now)))


async def move_stock(
    engine: Access, reward_id: str, stock_id: str, units: int, reason: str | None, author: str | None
) -> tuple[StockMove, bool]:
    """Adds units to a reward's stock, or takes some. Returns what was recorded, and whether it was before.

    Raises UnknownReward, IdConflict, or OutOfStock when fewer are there than were to be taken.
    """
    errors: list[FieldError] = []
    check_text("reason", reason, errors)
    if not units:
        errors.append(FieldError("units", "is 0; give the units to add, or below zero those to take"))
    if errors:
        raise InvalidRequest(f"{errors[0].path}: {errors[0].message}", errors=errors)
    async with engine.pool.acquire() as connection:
        offer = await _offer(connection, reward_id)
        replayed = await _moved(connection, stock_id) is not None
        if not replayed and offer.stock + units > MAX_AMOUNT:
            message = (
                f"would make the stock {offer.stock + units}; at most {MAX_AMOUNT} (2^53) can be counted"
            )
            raise InvalidRequest(f"units: {message}", errors=[FieldError("units", message)])
        if not replayed:
            try:
                async with connection.transaction():
                    stock = await connection.fetchval(
                        "select move_stock($1, $2, $3, $4, $5)", stock_id, reward_id, units, reason, author
                    )
                    if stock is None:
                        left = (await _offer(connection, reward_id)).stock
                        raise OutOfStock(f"{-units} were to be taken and {left} are left.", stock=left)
                    await acts.note(connection, "stock.moved", reward_id, stock_id=stock_id, units=units)
            except asyncpg.UniqueViolationError:
                replayed = True  # it was on its way just now
        found = await _moved(connection, stock_id)
    assert found is not None, "recorded just now, or before"
    if (found.reward_id, found.units, found.reason) != (offer.reward_id, units, reason):
        raise IdConflict(
            f"The stock id {stock_id} was used before, for something else. Use an id of its own."
        )
    return found, replayed


async def _moved(connection: Connection, stock_id: str) -> StockMove | None:
    row = await connection.fetchrow(
        "select stock_id, reward_id, units, stock, reason, recorded_at from stock_move where stock_id = $1",
        stock_id,
    )
    return StockMove(*row) if row is not None else None


async def _offer(connection: Connection, reward_id: str) -> Offer:
    found = (await store.offers(connection, [reward_id])).get(reward_id)
    if found is None:
        raise UnknownReward(f"No reward is called {reward_id}.")
    return found


def _reward(offer: Offer, is_open: bool, affordable: bool | UnsetType = UNSET) -> Reward:
    return Reward(offer.reward_id, offer.version, offer.terms, offer.left, is_open, affordable)
