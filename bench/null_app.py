"""The same server without a database: `python -m bench.null_app`. The same routes, guards, decoding and answers.

Only the engine and the key ring are replaced. LOYALTY_BENCH_NULL says what the engine does:

- judge: judges the basket by the rules, explains it, and answers with the receipt (the bar of P1);
- decide: all that the real engine does in memory: fingerprint, books, chain of hashes, facts as text.

Balances are a constant in either case (the bar of P8).
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import loyalty.api.app
from bench.data import EXAMPLE
from loyalty.api.serve import _config, _listen, _Server
from loyalty.engine.answers import Answer, BalanceAnswer, LotAnswer, Receipt, TierAnswer, encode
from loyalty.engine.context import Context
from loyalty.engine.decide import decide
from loyalty.engine.item import Item
from loyalty.engine.programs import BEGINNING, Programs, compiled
from loyalty.keys import Identity
from loyalty.ledger.book import Book
from loyalty.ledger.chain import GENESIS
from loyalty.ledger.life import life_of
from loyalty.ledger.state import Head
from loyalty.log import set_up_logging
from loyalty.rules.award import explain, rounding_text
from loyalty.rules.facts import Facts, Used
from loyalty.settings import Settings, read_settings
from loyalty.types import Purchase, Request

BALANCE = (
    b'{"member_id":"m00000001","as_of":"2026-11-22T10:00:00Z","balance":40000,"available":40000,"held":0,"pending":0,'
    b'"debt":0,"amount":40000,"lots":[' + b",".join([
        b'{"points":10000,"spendable_from":"2025-10-18T10:00:00Z","expires_at":"2027-02-20T10:00:00Z"}'] * 4)
    + b'],"expiring":[],"holds":[],"tier":"ordinary"}'
)  # fmt: skip


class NullEngine:
    """Answers without remembering anything."""

    def __init__(self) -> None:
        source = EXAMPLE.read_text()
        self._version = compiled(1, BEGINNING, source, "toml", None, None, BEGINNING)
        self._programs = Programs([self._version])
        self._decides = os.environ.get("LOYALTY_BENCH_NULL") == "decide"

    @classmethod
    async def open(cls, _database_url: str, _vault: object) -> "NullEngine":
        return cls()

    async def close(self) -> None:
        pass

    async def submit(self, request: Request, _client: str = "") -> Answer:
        assert isinstance(request, Purchase)
        return self._decide(request) if self._decides else self._judge(request)

    async def submit_many(self, requests: Sequence[Request]) -> list[Answer]:
        return [await self.submit(request) for request in requests]

    async def balance(self, *_: object) -> bytes:
        return BALANCE

    def _judge(self, purchase: Purchase) -> Answer:
        version, now = self._version, datetime.now(UTC)
        facts = Facts(
            occurred_at=purchase.occurred_at,
            channel=purchase.channel,
            tier="ordinary",
            store=purchase.store,
            used={"welcome": Used(1, 0, 100, 0)},
        )
        award = version.judge.judge(purchase.lines, facts)
        life = life_of(version.program.points, version.calendar, purchase.occurred_at, now)
        receipt = Receipt(
            purchase_id=purchase.purchase_id,
            member_id=purchase.member,
            points_earned=award.points,
            points_pending=0,
            points_redeemed=0,
            debt_repaid=0,
            lots=[LotAnswer(award.points, life.spendable_from, life.expires_at)],
            explain=explain(award),
            rounding=rounding_text(award),
            balance=BalanceAnswer(award.points, award.points, 0, 0, 0),
            tier=TierAnswer("ordinary"),
            program_version=1,
            recorded_at=now,
        )
        return Answer(encode(receipt))

    def _decide(self, purchase: Purchase) -> Answer:
        item = Item(purchase)
        item.prepare()
        now = datetime.now(UTC)
        context = Context(now, self._programs)
        book = Book(_head(purchase.member, now), (), (), now, self._programs.idle_deadline, context.journal)
        body, replayed = decide(context, book, item.normal, item.fingerprint, item.address.key)
        book.head_row()
        return Answer(body, replayed)


def _head(member: str, now: datetime) -> Head:
    return Head(
        account=1, status="active", merged_into=None, member_id=member, number=1, seq=1, lots=1, balance=100, held=0,
        debt=0, hash=GENESIS, recorded_at=now - timedelta(days=1), due_at=now + timedelta(days=90),
        pending_until=None, active_at=now, purchases=1, tier=None, tier_since=None, tier_valid_until=None,
        tier_verdict_at=None, tier_ground_at=None, tier_judged_at=None, spend_bound=0, visits_bound=0,
        bound_at=BEGINNING, loaded=False,
    )  # fmt: skip


class NullKeys:
    """Any key is an admin's."""

    def __init__(self, *_: object) -> None:
        self._admin = Identity("env", "admin")

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def get(self, _secret: bytes) -> Identity:
        return self._admin


def app() -> Any:
    """The application, for uvicorn."""
    # Put in the place of the real ones, of which they have what these routes call.
    loyalty.api.app.Engine = NullEngine  # type: ignore[misc,assignment]
    loyalty.api.app.KeyRing = NullKeys  # type: ignore[misc,assignment]
    return loyalty.api.app.create_app(Settings(database_url="postgresql://nowhere", log_level="warning"))


def main() -> None:
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    with _listen(settings) as listening:
        where = f"http://127.0.0.1:{listening.getsockname()[1]}"
        _Server(_config(settings, "bench.null_app:app"), where).run(sockets=[listening])


if __name__ == "__main__":
    main()
