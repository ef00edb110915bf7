"""One run: a database, an engine and a model, driven with the same steps, compared after each."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from loyalty.audit import audit
from loyalty.engine.engine import Engine
from loyalty.errors import LoyaltyError, UnknownMember
from loyalty.members.directory import change
from loyalty.members.enrol import enrol
from loyalty.program.parse import parse, starter
from loyalty.types import MemberChange, Request
from tests.vault import VAULT

from .compare import differences
from .databases import Databases
from .model import START_OF_TIME, Model, Refused
from .steps import (
    Enrol,
    Erase,
    Look,
    Merge,
    Owed,
    Past,
    PostDue,
    PutProgram,
    SetBirthday,
    SetStatus,
    Step,
    Submit,
    brief,
    weight,
)

INVARIANTS = Path(__file__).with_name("invariants.sql").read_text()
OPEN_LOTS = """
select m.member_id, o.spendable_from, o.expires_at, o.idle, sum(o.remaining)::bigint as points
from loyalty.member m join loyalty.open_lot o using (account)
where m.member_id = any ($1::text[]) and o.remaining > 0 group by 1, 2, 3, 4
"""
HEADS = """
select m.member_id, a.balance, a.held, a.debt
from loyalty.member m join loyalty.account a using (account) where m.member_id = any ($1::text[])
"""
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
AUDIT_EVERY = 4_000
"""Steps between two audits of the whole ledger; there is one at the end, too."""


class Difference(Exception):
    """Engine and model disagree, or an invariant does not hold. `place`: the item of the batch, if one."""

    def __init__(
        self, message: str, place: int = 1_000_000, sort: str = "", member: str | None = None
    ) -> None:
        super().__init__(message)
        self.place, self.sort, self.member = place, sort, member


class Run:
    """One seed: a database, an engine, a model."""

    def __init__(self, url: str, engine: Engine, clock: asyncpg.Connection) -> None:
        self.url, self.engine, self.clock = url, engine, clock
        self.model: Model | None = None
        self.now: datetime | None = None
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
                    await self.check(model, whom)
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
            case PostDue():
                self.kinds["review" if step.review else "expire"] += 1
                await (self.engine.review_tiers() if step.review else self.engine.expire())

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
            await self.check(model, model.own(step.into))

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
        await self.check(model, touched)

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
            if not refused or actual.code != refusal.code:
                raise _both(step, 0, f"refused: {refusal.code}", actual) from None
            return False
        self.kinds[kind] += 1
        found = []
        if not refused and isinstance(expected, dict):
            found = differences(expected, actual)
        if refused or found or (expected != actual and not isinstance(expected, dict)):
            raise _both(step, 0, expected, actual, found, getattr(step, "member", None))
        return True

    async def check(self, model: Model, touched: set[str]) -> None:
        """The promises on the accounts that were posted to, from rows, and their open lots against the model's."""
        for member in touched:
            model.members[member].post_due(model.now)  # a first activity long ago ends idle points at once
        rows = await self.clock.fetch(INVARIANTS, sorted(touched))
        if rows:
            raise Difference("\n".join(f"account {row['account']}: {row['message']}" for row in rows))
        await self.compare_lots(model, touched)
        for row in await self.clock.fetch(HEADS, sorted(touched)):
            expected = model.members[row["member_id"]].balance(model.now)
            if any(row[name] != expected[name] for name in ("balance", "held", "debt")):
                raise _both(f"head of {row['member_id']}", 0, expected, dict(row), None, row["member_id"])

    async def compare_lots(self, model: Model, touched: set[str]) -> None:
        """The open lots of what was posted to, life by life: a wrong lot would show in answers only much later."""
        found: dict[str, Counter[Any]] = {member: Counter() for member in touched}
        for row in await self.clock.fetch(OPEN_LOTS, sorted(touched)):
            found[row["member_id"]][row["spendable_from"], row["expires_at"], row["idle"]] = row["points"]
        for member in touched:
            expected: Counter[Any] = Counter()
            for lot in model.members[member].open_lots():
                expected[lot.spendable_from, lot.expires_at, lot.idle] += lot.left
            if expected != found[member]:
                only = dict(expected - found[member]), dict(found[member] - expected)
                raise _both(f"open lots of {member}", 0, *only, None, member)

    def compare(self, model: Model, request: Request, outcome: Any, place: int, touched: set[str]) -> None:
        name = type(request).__name__
        try:
            expected, replayed = model.submit(request)
        except Refused as refused:
            self.kinds[f"{name} {refused.code}"] += 1
            if not isinstance(outcome, LoyaltyError) or outcome.code not in (refused.code, refused.or_code):
                raise _both(request, place, f"refused: {refused.code} {refused.facts}", outcome) from None
            found = differences(refused.facts, outcome.facts)
            if found:
                raise _both(request, place, refused.facts, outcome, found) from None
            return
        self.kinds[f"{name} replayed" if replayed else name] += 1
        if not replayed:
            touched.add(expected["member_id"])
        if isinstance(outcome, LoyaltyError):
            raise _both(request, place, expected, outcome)
        if replayed != outcome.replayed:
            raise _both(request, place, f"replayed: {replayed}", f"replayed: {outcome.replayed}")
        found = differences(expected, msgspec.json.decode(outcome.body))
        if found:
            raise _both(request, place, expected, outcome, found)

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
                raise _both(f"reading {member}", 0, expected, actual, found, member)

    async def unknown(self, member: str) -> None:
        try:
            answer = await self.engine.balance(member)
        except UnknownMember:
            return
        raise _both(f"reading {member}", 0, "unknown-member", answer, None, member)

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
                raise _both(f"entries of {member}", 0, expected[-5:], entries[-5:], found, member)
        await self.audit()


def read_program(source: str) -> tuple[Any, Any]:
    parsed = parse(source, "toml")
    return parsed.program, parsed.diagnostics


def _both(
    what: Any,
    place: int,
    expected: Any,
    actual: Any,
    found: list[str] | None = None,
    member: str | None = None,
) -> Difference:
    if hasattr(actual, "body"):
        actual = actual.body.decode()
    elif isinstance(actual, LoyaltyError):
        actual = f"refused: {actual.code}: {actual} {actual.facts}"
    if isinstance(expected, dict):
        expected = {str(name): brief(one) for name, one in expected.items()}
    lines = [f"item {place}: {brief(what)}", *(f"  {one}" for one in found or [])]
    lines += [f"model:  {expected}", f"engine: {actual}"]
    sort = str(what).rsplit(" ", 1)[0] if isinstance(what, str) else type(what).__name__
    return Difference("\n".join(lines), 1_000_000 if member else place, sort, member)


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
