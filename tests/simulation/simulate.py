"""Drives the engine and the model with one seeded stream of steps, and compares every answer.

    python -m tests.simulation.simulate --seconds 60 [--seed 1] [--seeds 5] [--steps 4000] [--processes 2]
    python -m tests.simulation.simulate --replay FILE

The ledger's clock is frozen: it moves by the steps alone, so that a run can be repeated to the microsecond.
A difference is shrunk to a few steps, printed, and written to a file that --replay takes.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from loyalty.audit.run import audit
from loyalty.db.embedded import embedded_postgres
from loyalty.db.migrate import migrate
from loyalty.engine.engine import Engine
from loyalty.errors import LoyaltyError
from loyalty.members.directory import change
from loyalty.members.enrol import enrol
from loyalty.program.parse import parse, starter
from loyalty.types import MemberChange, Request

from .compare import differences
from .model import START_OF_TIME, Model, Refused
from .steps import (
    Enrol,
    Look,
    PostDue,
    PutProgram,
    SetStatus,
    Step,
    Submit,
    brief,
    describe,
    of_one_member,
    read,
    weight,
    write,
)
from .world import World

INVARIANTS = Path(__file__).with_name("invariants.sql").read_text()
OPEN_LOTS = """
select m.member_id, o.spendable_from, o.expires_at, o.idle, sum(o.remaining)::bigint as points
from loyalty.member m join loyalty.open_lot o using (account)
where m.member_id = any ($1::text[]) and o.remaining > 0 group by 1, 2, 3, 4
"""
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
FROZEN = """
create or replace function loyalty.ledger_now() returns timestamptz language sql volatile as $$
    select timestamptz '2024-01-01 00:00Z' + clock_offset from loyalty.setting
$$
"""
STEPS_A_SEED = 4_000
AUDIT_EVERY = 2_000


class Difference(Exception):
    """Engine and model disagree, or an invariant does not hold. `place`: the item of the batch, if one."""

    def __init__(self, message: str, place: int = 1_000_000, sort: str = "", member: str | None = None) -> None:
        super().__init__(message)
        self.place, self.sort, self.member = place, sort, member


@dataclass
class Tally:
    steps: int = 0
    seeds: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.steps += other.steps
        self.seeds += other.seeds
        self.kinds += other.kinds
        self.failures += other.failures


# -- databases ---------------------------------------------------------------------------------------------------------


class Databases:
    """Fresh databases with a frozen clock, each a copy of one migrated template."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.template = f"simulation_{token_hex(4)}"

    def of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def prepare(self, mutations: list[str] | None = None) -> None:
        await self.execute(f'create database "{self.template}" template template0')
        await migrate(self.of(self.template))
        connection = await asyncpg.connect(self.of(self.template))
        await connection.execute(FROZEN)
        for statement in mutations or []:
            await connection.execute(statement)
        await connection.close()

    async def execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        name = f"simulation_{token_hex(6)}"
        await self.execute(
            f'create database "{name}" template "{self.template}"',
            f'alter database "{name}" set synchronous_commit = off',
        )
        try:
            yield self.of(name)
        finally:
            await self.execute(f'drop database "{name}" with (force)')

    async def close(self) -> None:
        await self.execute(f'drop database if exists "{self.template}" with (force)')


@contextlib.asynccontextmanager
async def some_postgres(url: str | None) -> AsyncIterator[str]:
    """The one given, or an embedded one that need not survive a power cut."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="loyalty-simulation-", ignore_cleanup_errors=True) as folder:
        async with embedded_postgres(Path(folder) / "data", serving=True) as found:
            connection = await asyncpg.connect(found)
            for name in ("fsync", "full_page_writes"):
                await connection.execute(f"alter system set {name} = off")
            await connection.execute("select pg_reload_conf()")
            await connection.close()
            yield found


# -- one run -----------------------------------------------------------------------------------------------------------


class Run:
    """One seed: a database, an engine, a model."""

    def __init__(self, url: str, engine: Engine, clock: asyncpg.Connection, audits: bool = True) -> None:
        self.url, self.engine, self.clock = url, engine, clock
        self.model: Model | None = None
        self.now: datetime | None = None
        self.kinds: Counter[str] = Counter()
        self.audits = audits
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
        if isinstance(step, Submit):
            await self.submit(model, step)
        elif isinstance(step, Look):
            self.kinds["look"] += 1
            await self.look(model, step.member)
        elif isinstance(step, Enrol):
            self.kinds["enrol"] += 1
            await enrol(self.engine.pool, step.enrolment, step.at)
            model.enrol(step.enrolment)
        elif isinstance(step, SetStatus):
            self.kinds["status"] += 1
            if step.member in model.members:
                await change(self.engine.pool, step.member, MemberChange(status=step.status), step.at)
                model.members[step.member].blocked = step.status == "blocked"
        else:
            assert isinstance(step, PostDue)
            self.kinds["review" if step.review else "expire"] += 1
            await (self.engine.review_tiers() if step.review else self.engine.expire())
        if self.audits and self.done - self.audited >= AUDIT_EVERY:
            self.audited = self.done
            await self.audit()

    async def put_program(self, step: PutProgram) -> None:
        self.kinds["program"] += 1
        program, diagnostics = read_program(step.source)
        if program is None:
            raise Difference(f"the program is faulty: {diagnostics}")
        await self.engine.put_program(step.source, "toml", step.effective_from, "simulation", None)
        if self.model is None:  # the first takes the place of the starter program, whose number it leaves behind
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
        rows = await self.clock.fetch(INVARIANTS, sorted(touched))
        if rows:
            raise Difference("\n".join(f"account {row['account']}: {row['message']}" for row in rows))
        await self.compare_lots(model, touched)

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
                wrong = _both(f"open lots of {member}", 0, *only)
                raise Difference(str(wrong), sort=wrong.sort, member=member)

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
        if member not in model.members:
            return
        account = model.members[member]
        account.post_due(model.now)
        for expected, answer in (
            (account.read_balance(model.now), await self.engine.balance(member)),
            (account.read_tier(model.now), await self.engine.tier(member)),
        ):
            actual = msgspec.to_builtins(answer)
            found = differences(expected, actual)
            if found:
                raise _both(f"reading {member}", 0, expected, actual, found)

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
            page = msgspec.to_builtins(await self.engine.entries(member, None, 1_000))
            entries = list(reversed(page["entries"]))
            expected = [
                {**one["posting"], "kind": one["kind"], "points": one["points"], "occurred_at": one["at"]}
                for one in account.entries[-1_000:]
            ]
            found = differences({"entries": expected}, {"entries": entries})
            if found:
                raise _both(f"entries of {member}", 0, expected[-5:], entries[-5:], found)
        if self.audits:
            await self.audit()


def read_program(source: str) -> tuple[Any, Any]:
    parsed = parse(source, "toml")
    return parsed.program, parsed.diagnostics


def _both(what: Any, place: int, expected: Any, actual: Any, found: list[str] | None = None) -> Difference:
    if hasattr(actual, "body"):
        actual = actual.body.decode()
    elif isinstance(actual, LoyaltyError):
        actual = f"refused: {actual.code}: {actual} {actual.facts}"
    if isinstance(expected, dict):
        expected = {str(name): brief(one) for name, one in expected.items()}
    lines = [f"item {place}: {brief(what)}", *(f"  {one}" for one in found or [])]
    return Difference("\n".join([*lines, f"model:  {expected}", f"engine: {actual}"]), place, type(what).__name__ + str(what)[:7] * isinstance(what, str))


# -- seeds -------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def a_run(databases: Databases, audits: bool = True) -> AsyncIterator[Run]:
    async with databases.fresh() as url:
        engine = await Engine.open(url, pool_size=2)
        clock = await asyncpg.connect(url)
        try:
            yield Run(url, engine, clock, audits)
        finally:
            await clock.close()
            await engine.close()


async def run_seed(
    databases: Databases, seed: int, count: int, until: float, audits: bool = True, mixed: bool = False
) -> tuple[int, Counter[str], list[Step], Difference | None]:
    """Runs one seed for `count` steps, or until the time is over; the difference that ended it, if any."""
    steps: list[Step] = []
    async with a_run(databases, audits) as run:
        world = World(seed, mixed=mixed)
        try:
            for step in world.first():
                steps.append(step)
                await run.step(step)
            world.model = run.model
            while run.done < count and time.monotonic() < until:
                steps.append(world.next())
                await run.step(steps[-1])
            await run.finish()
        except Difference as found:
            return run.done, run.kinds, steps, found
        except Exception as crash:  # noqa: BLE001 - a crash of either side is a finding too
            import traceback

            return run.done, run.kinds, steps, Difference("".join(traceback.format_exception(crash)[-6:]))
        return run.done, run.kinds, steps, None


async def replay(databases: Databases, steps: list[Step]) -> Difference | None:
    """Runs a list of steps on a fresh database."""
    async with a_run(databases) as run:
        try:
            for step in steps:
                await run.step(step)
            await run.finish()
        except Difference as found:
            return found
        except Exception as crash:  # noqa: BLE001
            import traceback

            return Difference("".join(traceback.format_exception(crash)[-6:]))
    return None


async def shrink(
    steps: list[Step], fails: Callable[[list[Step]], Awaitable[bool]], seconds: float = 60
) -> list[Step]:
    """Delta debugging: fewer steps that still fail, first halves, then ever smaller parts, then within batches."""
    until = time.monotonic() + seconds
    steps = [steps[0], *await _reduce(steps[1:], lambda some: fails([steps[0], *some]), until)]
    singles: list[Step] = []
    for step in steps:
        if isinstance(step, Submit) and len(step.requests) > 1:
            singles += [Submit(step.at, (one,), False) for one in step.requests]
        else:
            singles.append(step)
    if len(singles) > len(steps):
        if await fails(singles):
            return await _reduce(singles, fails, until)
        for place, step in enumerate(steps):
            if isinstance(step, Submit) and len(step.requests) > 1:

                async def fails_with(found: list[Any], place: int = place, step: Submit = step) -> bool:
                    smaller = Submit(step.at, tuple(found), step.together)
                    return await fails([*steps[:place], smaller, *steps[place + 1 :]])

                kept = await _reduce(list(step.requests), fails_with, until)
                steps[place] = Submit(step.at, tuple(kept), step.together)
    return steps


async def _reduce(items: list[Any], fails: Callable[[list[Any]], Awaitable[bool]], until: float) -> list[Any]:
    size = max(1, len(items) // 2)
    while time.monotonic() < until:
        place, smaller = 0, False
        while place < len(items) and time.monotonic() < until:
            fewer = items[:place] + items[place + size :]
            if fewer and await fails(fewer):
                items, smaller = fewer, True
            else:
                place += size
        if size == 1 and not smaller:
            break
        size = max(1, size // 2)
    return items


async def report(databases: Databases, seed: int, steps: list[Step], found: Difference, shrinking: float) -> str:
    """Shrinks a failure and says how to repeat it."""

    async def fails(some: list[Step]) -> bool:
        other = await replay(databases, some)
        return other is not None and other.sort == found.sort

    if shrinking:
        # With the batch cut behind the item that differs, and then of one member alone, if it fails still.
        last = steps[-1]
        if isinstance(last, Submit):
            cut = [*steps[:-1], Submit(last.at, last.requests[: found.place + 1], last.together)]
            for fewer in (of_one_member(cut, found.member), cut):
                if await fails(fewer):
                    steps = fewer
                    break
    small = await shrink(steps, fails, shrinking) if shrinking and await fails(steps) else steps
    message = str(await replay(databases, small) or found)
    path = Path(tempfile.gettempdir()) / f"simulation-{seed}.jsonl"
    write(path, small, {"seed": seed, "steps": len(small), "of": len(steps)})
    listing = "\n".join(describe(step) for step in small) if len(small) < 40 else f"({len(small)} steps)"
    return (
        f"seed {seed}: after {len(steps)} steps, shrunk to {len(small)}\n{listing}\n\n{message}\n\n"
        f"python -m tests.simulation.simulate --replay {path}\n"
    )


async def simulate(
    url: str | None,
    seconds: float,
    first_seed: int,
    seeds: int | None = None,
    count: int = STEPS_A_SEED,
    stride: int = 1,
    shrinking: float = 60,
    keep_going: bool = False,
    mixed: bool = False,
    say: Callable[[str], None] = print,
) -> Tally:
    """Runs seed after seed until the time is over; stops at the first difference unless told to go on."""
    tally, start = Tally(), time.monotonic()
    until = start + seconds
    async with some_postgres(url) as found:
        databases = Databases(found)
        await databases.prepare()
        try:
            seed = first_seed
            while time.monotonic() < until and (seeds is None or tally.seeds < seeds):
                began = time.monotonic()
                done, kinds, steps, difference = await run_seed(databases, seed, count, until, mixed=mixed)
                tally.steps += done
                tally.seeds += 1
                tally.kinds += kinds
                took = time.monotonic() - began
                say(f"seed {seed}: {done} steps in {took:.1f} s{', DIFFERENCE' if difference else ''}")
                if difference is not None:
                    say(str(difference)[:3000])
                    text = await report(databases, seed, steps, difference, shrinking)
                    say(text)
                    tally.failures.append(text)
                    if not keep_going:
                        break
                seed += stride
        finally:
            await databases.close()
    tally.seconds = time.monotonic() - start
    return tally


def _process(args: argparse.Namespace, place: int) -> Tally:
    return asyncio.run(
        simulate(
            args.postgres,
            args.seconds,
            args.seed + place,
            None if args.seeds is None else -(-args.seeds // args.processes),
            args.steps,
            args.processes,
            args.shrink,
            args.keep_going,
            args.mixed,
            lambda text: print(text, flush=True),
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--steps", type=int, default=STEPS_A_SEED)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--postgres", help="URL of a Postgres whose user may create databases")
    parser.add_argument("--shrink", type=float, default=60, help="seconds to spend on shrinking a failure")
    parser.add_argument("--mixed", action="store_true", help="let idle and dated points meet in one account")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--kinds", action="store_true", help="print how often what happened")
    parser.add_argument("--replay", type=Path)
    args = parser.parse_args()
    if args.replay:
        return asyncio.run(_replay(args))
    start, tally = time.monotonic(), Tally()
    if args.processes == 1:
        tally.add(_process(args, 0))
    else:
        with get_context("spawn").Pool(args.processes) as pool:
            for part in pool.starmap(_process, [(args, place) for place in range(args.processes)]):
                tally.add(part)
    took = time.monotonic() - start
    print(
        f"{tally.steps} steps, {tally.seeds} seeds, {len(tally.failures)} differences, "
        f"{took:.0f} s, {tally.steps / took:.0f} steps/s"
    )
    if args.kinds:
        for name, times in sorted(tally.kinds.items()):
            print(f"{times:10} {name}")
    return 1 if tally.failures else 0


async def _replay(args: argparse.Namespace) -> int:
    steps = read(args.replay)
    async with some_postgres(args.postgres) as url:
        databases = Databases(url)
        await databases.prepare()
        found = await replay(databases, steps)
        await databases.close()
    for step in steps[-40:]:
        print(describe(step))
    print(found or "no difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
