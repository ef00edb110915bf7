"""Files of purchases and returns, posted through the engine in the order in which they happened.

Stopped at any point, the same call goes on where it was: what is on record already is counted as replayed.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import tzinfo
from itertools import islice
from typing import Any, Literal

from msgspec import Struct

from loyalty.engine.engine import Engine
from loyalty.errors import IdConflict, LoyaltyError, UnknownPurchase
from loyalty.importing.documents import PLACE, Builder, Built
from loyalty.importing.source import DOCUMENT_COLUMNS, Source
from loyalty.importing.stage import PURCHASE, Stage, Unit
from loyalty.importing.summary import Summary, refusal
from loyalty.importing.values import Rejected
from loyalty.members.directory import where_are
from loyalty.members.enrol import enrol_many
from loyalty.members.identity import Name, parse_reference
from loyalty.types import Enrolment, Purchase

CHUNK = 2_000
"""Units that are built, enrolled and posted at once; the next are built meanwhile."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much (0: not known)."""


class Options(Struct, frozen=True):
    """How to take a file.

    digits: of the currency's minor unit. zone: for times without offset. enrol: who is not known yet.
    unknown_purchase: what becomes of returns whose purchase is not on record.
    """

    digits: int
    zone: tzinfo | None = None
    enrol: bool = True
    unknown_purchase: Literal["reject", "unlinked"] = "reject"


async def import_documents(engine: Engine, source: Source, options: Options, progress: Progress) -> Summary:
    """Import a file of purchases and returns; returns what became of it."""
    return await _Import(engine, options, progress).run(source)


class _Import:
    def __init__(self, engine: Engine, options: Options, progress: Progress) -> None:
        self._engine = engine
        self._options = options
        self._progress = progress
        self._builder = Builder(options.digits, options.zone)
        self._summary = Summary()
        self._present: set[str] = set()
        self._rejected_purchases: set[str] = set()
        self._anonymous: set[str] = set()

    async def run(self, source: Source) -> Summary:
        stage = Stage(self._options.zone)
        await asyncio.to_thread(self._fill, stage, source)
        summary = self._summary
        summary.rows, summary.documents = stage.rows, stage.documents
        units = stage.take()
        done = 0
        coming = asyncio.create_task(asyncio.to_thread(self._build, units))
        while chunk := await coming:
            coming = asyncio.create_task(asyncio.to_thread(self._build, units))
            try:
                await self._post(chunk)
            finally:
                await asyncio.wait([coming])
            done += len(chunk)
            self._progress("posted", done, stage.units)
        return summary

    def _fill(self, stage: Stage, source: Source) -> None:
        stage.add(
            source.rows(DOCUMENT_COLUMNS),
            kind=None,
            key=PLACE["purchase_id"],
            kind_at=PLACE["kind"],
            at=PLACE["occurred_at"],
            original=PLACE["original_purchase_id"],
            progress=lambda rows: self._progress("read", rows, 0),
        )
        stage.gather()

    def _build(self, units: Iterator[Unit]) -> list[tuple[Unit, Built | Rejected | None]]:
        return [(unit, self._builder.build(unit)) for unit in islice(units, CHUNK)]

    async def _post(self, chunk: list[tuple[Unit, Built | Rejected | None]]) -> None:
        ready: list[tuple[Unit, Built]] = []
        for unit, built in chunk:
            if isinstance(built, Built):
                ready.append((unit, built))
            elif built is None:
                self._count_anonymous(unit)
            else:
                self._reject(unit, built)
        if self._options.enrol:
            await self._enrol([built for _, built in ready])
        again: list[tuple[Unit, Built]] = []
        outcomes = await self._engine.submit_many([built.request for _, built in ready])
        for (unit, built), outcome in zip(ready, outcomes, strict=True):
            if not isinstance(outcome, LoyaltyError):
                self._summary.took(_what(unit, unlinked=False), replayed=outcome.replayed)
            elif self._may_be_unlinked(unit, outcome):
                alone = self._builder.build(unit, unlinked=True)
                if isinstance(alone, Built):
                    again.append((unit, alone))
                elif alone is not None:
                    self._reject(unit, alone)
            else:
                self._reject(unit, self._refused(unit, built, outcome))
        if again:
            outcomes = await self._engine.submit_many([built.request for _, built in again])
            for (unit, built), outcome in zip(again, outcomes, strict=True):
                if isinstance(outcome, LoyaltyError):
                    self._reject(unit, refusal(outcome, built.lines))
                else:
                    self._summary.took(_what(unit, unlinked=True), replayed=outcome.replayed)

    def _may_be_unlinked(self, unit: Unit, error: LoyaltyError) -> bool:
        # An id conflict: an earlier run has taken this return as unlinked. Purchases of this file that were
        # not taken are to be mended, so their returns wait for them.
        return (
            self._options.unknown_purchase == "unlinked"
            and unit.original != ""
            and unit.original not in self._rejected_purchases
            and isinstance(error, UnknownPurchase | IdConflict)
        )

    def _refused(self, unit: Unit, built: Built, error: LoyaltyError) -> Rejected:
        if isinstance(error, UnknownPurchase) and unit.original in self._rejected_purchases:
            return Rejected(
                error.code, f"purchase {unit.original} of this file was rejected; mend it first", built.lines
            )
        return refusal(error, built.lines)

    def _reject(self, unit: Unit, rejected: Rejected) -> None:
        if unit.kind == PURCHASE:
            self._rejected_purchases.add(unit.id)
        self._summary.reject(rejected)

    def _count_anonymous(self, unit: Unit) -> None:
        # Purchases are one unit each; a return may be several, and counts once.
        if unit.kind != PURCHASE:
            if unit.id in self._anonymous:
                return
            self._anonymous.add(unit.id)
        self._summary.anonymous += 1

    async def _enrol(self, ready: list[Built]) -> None:
        """Enrol who is not known yet, as of the first document in time order."""
        firsts: dict[str, Built] = {}
        for built in ready:
            if built.member not in self._present:
                firsts.setdefault(built.member, built)
        if not firsts:
            return
        names = {ref: parse_reference(ref) for ref in firsts}
        async with self._engine.pool.acquire() as connection:
            known = await where_are(connection, self._engine.vault, list(names.values()))
        enrolments = [
            _enrolment(names[ref], built) for ref, built in firsts.items() if names[ref] not in known
        ]
        if enrolments:
            now = await self._engine.now()
            outcomes = await enrol_many(self._engine.pool, self._engine.vault, enrolments, now)
            self._summary.enrolled += sum(
                not isinstance(outcome, LoyaltyError) and outcome.created for outcome in outcomes
            )
        self._present.update(firsts)


def _enrolment(name: Name, first: Built) -> Enrolment:
    channel = first.request.channel if isinstance(first.request, Purchase) else None
    scheme = "member_id" if name.scheme == "id" else name.scheme
    named: dict[str, Any] = {scheme: name.value}
    return Enrolment(**named, channel=channel, enrolled_at=first.occurred_at)


def _what(unit: Unit, *, unlinked: bool) -> str:
    if unit.kind == PURCHASE:
        return "purchases"
    return "returns" if unit.original and not unlinked else "returns without a known purchase"
