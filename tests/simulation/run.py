"""One run: a database, an engine and a model, driven with the same steps, compared after each."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from loyalty.audit import audit
from loyalty.engine import catalogue, vouchers
from loyalty.engine.engine import Engine
from loyalty.errors import LoyaltyError, UnknownMember
from loyalty.members.directory import change
from loyalty.members.enrol import enrol
from loyalty.program.parse import parse, starter
from loyalty.types import Claim, MemberChange, Request
from tests.vault import VAULT

from .compare import differences
from .databases import Databases
from .difference import Difference, both
from .model import START_OF_TIME, Model, Refused
from .rows import check_rows
from .steps import (
    Enrol,
    Erase,
    Look,
    Merge,
    MoveStock,
    Owed,
    Past,
    PostDue,
    PutProgram,
    PutReward,
    SetBirthday,
    SetStatus,
    Step,
    Submit,
    UseVoucher,
    weight,
)

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
ARCHIVED_AFTER = timedelta(days=30)
AUDIT_EVERY = 4_000
"""Steps between two audits of the whole ledger; there is one at the end, too."""


class Run:
    """One seed: a database, an engine, a model."""

    def __init__(self, url: str, engine: Engine, clock: asyncpg.Connection) -> None:
        self.url, self.engine, self.clock = url, engine, clock
        self.model: Model | None = None
        self.now: datetime | None = None
        self.codes: dict[str, str] = {}
        """The vouchers that claims were given."""
        self.kinds: Counter[str] = Counter()
        self.done = 0
        self.audited = 0

    async def step(self, step: Step) -> None:
        if self.now != step.at:
            self.now = step.at
            await self.clock.execute("update loyalty.setting set clock_offset = $1", step.at - EPOCH)
        if isinstance(step, PutProgram):
            await self.put_program(step)
            return
        model = self.model
        if model is None:
            return
        model.now = step.at
        self.done += weight(step)
        await self.do(model, step)
        if self.done - self.audited >= AUDIT_EVERY:
            self.audited = self.done
            await self.audit()

    async def do(self, model: Model, step: Step) -> None:
        match step:
            case Submit():
                await self.submit(model, step)
            case Look():
                self.kinds["look"] += 1
                await self.look(model, step.member)
            case Enrol():
                self.kinds["enrol"] += 1
                await enrol(self.engine.pool, VAULT, step.enrolment, step.at)
                model.enrol(step.enrolment)
            case SetStatus():
                await self.same_end(
                    "status",
                    step,
                    lambda: model.set_status(step.member, step.status),
                    change(self.engine.pool, VAULT, step.member, MemberChange(status=step.status), step.at),
                )
            case SetBirthday():
                await self.same_end(
                    "birthday",
                    step,
                    lambda: model.set_birthday(step.member, step.birthday),
                    change(
                        self.engine.pool, VAULT, step.member, MemberChange(birthday=step.birthday), step.at
                    ),
                )
            case Merge():
                await self.merge(model, step)
            case Erase():
                whom = model.own(step.member)
                if await self.same_end(
                    "erase", step, lambda: model.erase(step.member), self.engine.erase(step.member)
                ):
                    await check_rows(self.clock, model, whom)
            case Past():
                await self.same_end(
                    "past",
                    step,
                    lambda: model.past_balance(step.member, step.as_of, step.known_at),
                    self.engine.balance(step.member, step.as_of, step.known_at),
                )
            case Owed():
                await self.same_end(
                    "liability",
                    step,
                    lambda: model.liability(step.as_of, step.known_at),
                    self.engine.liability(step.as_of, step.known_at),
                )
            case PutReward() | MoveStock() | UseVoucher():
                await self.serve(model, step)
            case PostDue():
                self.kinds["review" if step.review else "expire"] += 1
                if step.review:
                    await self.engine.review_tiers()
                else:
                    await self.engine.expire()
                    await self.engine.archive(step.at - ARCHIVED_AFTER)

    async def serve(self, model: Model, step: PutReward | MoveStock | UseVoucher) -> None:
        """What is done about rewards beside claims."""
        match step:
            case PutReward():
                self.kinds["reward"] += 1
                await catalogue.put_reward(self.engine, step.reward_id, step.terms, None)
                model.put_reward(step.reward_id, step.terms)
            case MoveStock():
                await self.same_end(
                    "stock",
                    step,
                    lambda: model.move_stock(step.reward_id, step.stock_id, step.units),
                    catalogue.move_stock(self.engine, step.reward_id, step.stock_id, step.units, None, None),
                )
            case UseVoucher() if step.claim_id in self.codes:
                await self.same_end(
                    "use",
                    step,
                    lambda: model.use_voucher(step.claim_id, step.use_id, step.purchase_id),
                    vouchers.use_voucher(
                        self.engine, self.codes[step.claim_id], step.use_id, step.purchase_id
                    ),
                )

    async def merge(self, model: Model, step: Merge) -> None:
        two = len(model.own(step.member, step.into)) == 2
        if (
            await self.same_end(
                "merge",
                step,
                lambda: model.merge(step.member, step.into),
                self.engine.merge(step.member, step.into),
            )
            and two
        ):
            await check_rows(self.clock, model, model.own(step.into))

    async def put_program(self, step: PutProgram) -> None:
        self.kinds["program"] += 1
        program, diagnostics = read_program(step.source)
        if program is None:
            raise Difference(f"the program is faulty: {diagnostics}")
        await self.engine.put_program(step.source, "toml", step.effective_from, "simulation", None)
        if (
            self.model is None
        ):  # the first takes the place of the starter program, whose number it leaves behind
            self.model = Model(starter())
            self.model.put_program(program, START_OF_TIME)
        else:
            self.model.put_program(program, step.effective_from or step.at)
        self.model.now = step.at

    async def submit(self, model: Model, step: Submit) -> None:
        outcomes: list[Any] = []
        if step.together:
            outcomes = await self.engine.submit_many(step.requests)
        else:
            for request in step.requests:
                try:
                    outcomes.append(await self.engine.submit(request))
                except LoyaltyError as refused:
                    outcomes.append(refused)
        touched: set[str] = set()
        for place, (request, outcome) in enumerate(zip(step.requests, outcomes, strict=True)):
            self.compare(model, request, outcome, place, touched)
        await check_rows(self.clock, model, touched)

    async def same_end(
        self, kind: str, step: Any, of_model: Callable[[], Any], of_engine: Awaitable[Any]
    ) -> bool:
        """Both give the same answer, or refuse for the same reason. Returns whether they did it."""
        try:
            answer = await of_engine
            actual = msgspec.json.decode(answer) if isinstance(answer, bytes) else msgspec.to_builtins(answer)
        except LoyaltyError as refusal:
            actual = refusal
        refused = isinstance(actual, LoyaltyError)
        try:
            expected = of_model()
        except Refused as refusal:
            self.kinds[f"{kind} {refusal.code}"] += 1
            if not refused or actual.code not in refusal.codes or differences(refusal.facts, actual.facts):
                raise both(step, 0, f"refused: {refusal.code}", actual) from None
            return False
        self.kinds[kind] += 1
        found = []
        if isinstance(expected, tuple):  # an answer, and whether it was given before
            expected, actual = (
                dict(zip(("body", "again"), both, strict=True)) for both in (expected, actual)
            )
        if not refused and isinstance(expected, dict):
            found = differences(expected, actual)
        if refused or found or (expected != actual and not isinstance(expected, dict)):
            raise both(step, 0, expected, actual, found, getattr(step, "member", None))
        return True

    def compare(self, model: Model, request: Request, outcome: Any, place: int, touched: set[str]) -> None:
        name = type(request).__name__
        try:
            expected, replayed = model.submit(request)
        except Refused as refused:
            self.kinds[f"{name} {refused.code}"] += 1
            if not isinstance(outcome, LoyaltyError) or outcome.code not in refused.codes:
                raise both(request, place, f"refused: {refused.code} {refused.facts}", outcome) from None
            found = differences(refused.facts, outcome.facts)
            if found:
                raise both(request, place, refused.facts, outcome, found) from None
            return
        self.kinds[f"{name} replayed" if replayed else name] += 1
        if not replayed:
            touched.add(expected["member_id"])
        if isinstance(outcome, LoyaltyError):
            raise both(request, place, expected, outcome)
        if replayed != outcome.replayed:
            raise both(request, place, f"replayed: {replayed}", f"replayed: {outcome.replayed}")
        answer = msgspec.json.decode(outcome.body)
        found = differences(expected, answer)
        if found:
            raise both(request, place, expected, outcome, found)
        if isinstance(request, Claim):
            self.codes[request.claim_id] = answer["voucher"]["code"]

    async def look(self, model: Model, member: str) -> None:
        try:
            account = model.member(member)
        except Refused:
            await self.unknown(member)
            return
        account.post_due(model.now)
        for expected, answer in (
            (account.read_balance(model.now), msgspec.Raw(await self.engine.balance(member))),
            (account.read_tier(model.now), await self.engine.tier(member)),
        ):
            actual = msgspec.json.decode(msgspec.json.encode(answer))
            found = differences(expected, actual)
            if found:
                raise both(f"reading {member}", 0, expected, actual, found, member)
        offers = await catalogue.rewards_for(self.engine, member)
        had = await vouchers.vouchers(self.engine, member)
        rewards = (
            sorted((one.reward_id, one.stock, one.affordable) for one in offers.rewards),
            sorted((one.claim_id, one.status) for one in had.vouchers),
        )
        wanted = model.rewards_of(member), model.vouchers(member)
        if rewards != wanted:
            raise both(f"rewards of {member}", 0, wanted, rewards, None, member)

    async def unknown(self, member: str) -> None:
        try:
            answer = await self.engine.balance(member)
        except UnknownMember:
            return
        raise both(f"reading {member}", 0, "unknown-member", answer, None, member)

    async def audit(self) -> None:
        findings = await audit(self.url, processes=1)
        if found := findings.rows:
            raise Difference("audit: " + "\n".join(map(str, found[:5])))

    async def finish(self) -> None:
        """At the end: everything due is posted, every account is read whole, and the audit is clean."""
        model = self.model
        if model is None:
            return
        await self.engine.expire()
        await self.engine.review_tiers()
        for member, account in model.members.items():
            await self.look(model, member)
            if member not in model.names:
                continue
            page = msgspec.to_builtins(await self.engine.entries(member, None, 1_000))
            entries = list(reversed(page["entries"]))
            expected = [
                {**one["posting"], "kind": one["kind"], "points": one["points"], "occurred_at": one["at"]}
                for one in account.entries[-1_000:]
            ]
            found = differences({"entries": expected}, {"entries": entries})
            if found:
                raise both(f"entries of {member}", 0, expected[-5:], entries[-5:], found, member)
        await self.audit()


def read_program(source: str) -> tuple[Any, Any]:
    parsed = parse(source, "toml")
    return parsed.program, parsed.diagnostics


@contextlib.asynccontextmanager
async def a_run(databases: Databases, shards: int = 1) -> AsyncIterator[Run]:
    async with databases.fresh(shards) as url:
        engine = await Engine.open(url, VAULT, pool_size=2)
        clock = await asyncpg.connect(url)
        try:
            yield Run(url, engine, clock)
        finally:
            await clock.close()
            await engine.close()
