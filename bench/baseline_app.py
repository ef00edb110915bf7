"""The usual way of writing this service: litestar and asyncpg, one transaction of five statements a request.

For comparison, and to be read: `LOYALTY_BENCH_DATABASE=postgresql://… python -m bench.baseline_app`. It needs the
tables of sql/naive.sql. It gives one point for 1.00 and knows no rules, tiers, expiry or explanation.
"""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import asyncpg
import msgspec
import uvicorn
from litestar import Litestar, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from msgspec import Meta, Struct

POOL = 16


class Line(Struct):
    sku: str
    amount: Annotated[int, Meta(ge=0)]
    quantity: float = 1
    list_amount: int | None = None
    category: str | None = None


class Purchase(Struct):
    purchase_id: str
    member: str
    occurred_at: datetime
    channel: str
    lines: Annotated[list[Line], Meta(min_length=1)]
    store: str | None = None
    terminal: str | None = None


class Receipt(Struct):
    purchase_id: str
    points_earned: int
    balance: int


@post("/v1/purchases")
async def record(data: Purchase, state: State) -> Receipt:
    """One request, one transaction."""
    points = sum(line.amount for line in data.lines) // 100
    async with state.pool.acquire() as connection, connection.transaction():
        head = await connection.fetchrow(
            "select account, balance, number from naive.account where member_id = $1 for update", data.member
        )
        if head is None:
            raise NotFoundException(data.member)
        receipt = Receipt(data.purchase_id, points, head["balance"] + points)
        answer = msgspec.json.encode(receipt).decode()
        said = await connection.fetchval(
            "insert into naive.request (id, account, answer) values ($1, $2, $3)"
            " on conflict (id) do nothing returning id",
            data.purchase_id, head["account"], answer,
        )  # fmt: skip
        if said is None:
            first = await connection.fetchval(
                "select answer from naive.request where id = $1", data.purchase_id
            )
            return msgspec.json.decode(first, type=Receipt)
        await connection.execute(
            "insert into naive.entry (account, number, request, points, balance_after, occurred_at, recorded_at)"
            " values ($1, $2, $3, $4, $5, $6, now())",
            head["account"], head["number"] + 1, data.purchase_id, points, receipt.balance, data.occurred_at,
        )  # fmt: skip
        await connection.execute(
            "insert into naive.lot (account, number, points, remaining, expires_at)"
            " values ($1, $2, $3, $3, now() + interval '1 year')",
            head["account"], head["number"] + 1, points,
        )  # fmt: skip
        await connection.execute(
            "update naive.account set balance = balance + $2, number = number + 1 where account = $1",
            head["account"], points,
        )  # fmt: skip
        return receipt


@asynccontextmanager
async def pool(app: Litestar) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["LOYALTY_BENCH_DATABASE"], min_size=POOL, max_size=POOL
    ) as made:
        app.state.pool = made
        yield


app = Litestar([record], lifespan=[pool], openapi_config=None)


def main() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        print(f"listening at http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
