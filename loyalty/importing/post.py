"""Posts units of a file through the engine: makes requests, enrols who is not known, counts what became of it."""

from collections.abc import Iterable
from datetime import tzinfo
from typing import Any, Literal

from msgspec import Struct

from loyalty.engine.engine import Engine
from loyalty.errors import IdConflict, LoyaltyError, UnknownPurchase
from loyalty.importing.documents import Builder, Built
from loyalty.importing.stage import PURCHASE, Parcel, Unit
from loyalty.importing.summary import Summary, refusal
from loyalty.importing.values import Rejected
from loyalty.members.directory import where_are
from loyalty.members.enrol import enrol_many
from loyalty.members.identity import Name, parse_reference
from loyalty.types import Enrolment, Purchase

AT_ONCE = 500
"""Requests that are posted in one transaction."""


class Options(Struct, frozen=True):
    """How to take a file.

    digits: of the currency's minor unit. zone: for times without offset. enrol: who is not known yet.
    unknown_purchase: what becomes of returns whose purchase is not on record.
    """

    digits: int
    zone: tzinfo | None = None
    enrol: bool = True
    unknown_purchase: Literal["reject", "unlinked"] = "reject"


class Poster:
    """Posts parcels in their order. `rejected`: purchases of the file that were rejected before."""

    def __init__(self, engine: Engine, options: Options, rejected: Iterable[str] = ()) -> None:
        self._engine = engine
        self._options = options
        self._builder = Builder(options.digits, options.zone)
        self._present: set[str] = set()
        self.rejected = set(rejected)
        self._summary = Summary()

    async def post(self, parcels: Iterable[Parcel]) -> Summary:
        """Post some, whatever was posted of them before; returns what became of them."""
        summary = self._summary = Summary()
        ready: list[tuple[Unit, Built]] = []
        for parcel in parcels:
            unit = parcel.unpack()
            built = self._builder.build(unit)
            if isinstance(built, Built):
                ready.append((unit, built))
            elif isinstance(built, Rejected):
                self._reject(unit, built)
            elif unit.kind == PURCHASE:
                summary.anonymous_purchases += 1
            else:
                summary.anonymous_returns.add(unit.id)
        if self._options.enrol:
            await self._enrol([built for _, built in ready])
        unknown = await self._submit(ready, unlinked=False)
        if unknown:
            await self._submit(unknown, unlinked=True)
        return summary

    async def _submit(self, ready: list[tuple[Unit, Built]], *, unlinked: bool) -> list[tuple[Unit, Built]]:
        """Posts requests; returns, made anew, the returns that are to be taken as without a purchase."""
        unknown: list[tuple[Unit, Built]] = []
        requests = [built.request for _, built in ready]
        outcomes = await self._engine.submit_many(requests, AT_ONCE)
        for (unit, built), outcome in zip(ready, outcomes, strict=True):
            if not isinstance(outcome, LoyaltyError):
                self._summary.took(_what(unit, unlinked=unlinked), replayed=outcome.replayed)
            elif not unlinked and self._may_be_unlinked(unit, outcome):
                alone = self._builder.build(unit, unlinked=True)
                if isinstance(alone, Built):
                    unknown.append((unit, alone))
                elif alone is not None:
                    self._reject(unit, alone)
            else:
                self._reject(unit, self._refused(unit, built, outcome))
        return unknown

    def _may_be_unlinked(self, unit: Unit, error: LoyaltyError) -> bool:
        # An id conflict: an earlier run has taken this return as unlinked. Purchases of this file that were
        # not taken are to be mended, so their returns wait for them.
        return (
            self._options.unknown_purchase == "unlinked"
            and unit.original != ""
            and unit.original not in self.rejected
            and isinstance(error, UnknownPurchase | IdConflict)
        )

    def _refused(self, unit: Unit, built: Built, error: LoyaltyError) -> Rejected:
        if isinstance(error, UnknownPurchase) and unit.original in self.rejected:
            return Rejected(
                error.code, f"purchase {unit.original} of this file was rejected; mend it first", built.lines
            )
        return refusal(error, built.lines)

    def _reject(self, unit: Unit, rejected: Rejected) -> None:
        if unit.kind == PURCHASE:
            self.rejected.add(unit.id)
        self._summary.reject(rejected)

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
