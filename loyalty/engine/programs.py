"""The program's versions: immutable rows, each in force from an instant on, compiled once a process."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from asyncpg import Connection
from msgspec import Struct

from loyalty import acts
from loyalty.calendar import END_OF_TIME, Calendar, calendar_of
from loyalty.db.sql import query
from loyalty.errors import FieldError, InvalidRequest
from loyalty.ledger.chain import GENESIS, version_hash
from loyalty.ledger.life import idle_deadline
from loyalty.program.model import ExpireInactivity, Program, Tier
from loyalty.program.parse import parse, same_frame, starter_source
from loyalty.rules.compile import Needs, compile_program, needs
from loyalty.rules.judge import Judge
from loyalty.rules.pricing import Pricing
from loyalty.tiers.window import next_thresholds

BEGINNING = datetime.fromisoformat("1900-01-01T00:00:00Z")
"""The first version is in force from here: before any purchase."""

STARTER_NOTE = "starter program"


class ProgramVersion(Struct, frozen=True):
    """One version of the program with what is made of it. `effective_from` of the first is the beginning of time.

    thresholds: by tier, the least spend_amount and the least visits that could promote a member of it.
    """

    version: int
    effective_from: datetime
    source: str
    format: str
    author: str | None
    note: str | None
    recorded_at: datetime
    program: Program
    judge: Judge
    needs: Needs
    calendar: Calendar
    pricing: Pricing
    thresholds: dict[str, tuple[int | None, int | None]]

    def as_put(self) -> Program:
        """The program as its file says it, without tiers that came later."""
        return _read(self.version, self.source, self.format)


class Programs:
    """All versions. In force at an instant is the one that became effective last; of two at once, the later put."""

    def __init__(self, versions: Sequence[ProgramVersion]) -> None:
        newest = max(versions, key=lambda version: version.version, default=None)
        self.all = [version if newest is None else _with_tiers_of(version, newest) for version in versions]
        self._by_number = {version.version: version for version in self.all}
        self._in_order = sorted(
            self.all, key=lambda version: (version.effective_from, version.version), reverse=True
        )
        self._idle = [
            version
            for version in self._in_order
            if isinstance(version.program.points.expiry, ExpireInactivity)
        ]
        windows = {
            (version.program.tier_policy.window, version.program.time_zone.key) for version in self.in_use()
        }
        self._one_window = len(windows) <= 1
        self._one_idle_end = (
            len({(one.program.points.expiry, one.program.time_zone.key) for one in self._idle}) <= 1
        )

    @property
    def newest(self) -> int:
        """The highest version number; 0 without any."""
        return max(self._by_number, default=0)

    def at(self, instant: datetime) -> ProgramVersion:
        """The version in force at `instant`."""
        for version in self._in_order:
            if version.effective_from <= instant:
                return version
        return self._in_order[-1]

    def numbered(self, version: int) -> ProgramVersion:
        return self._by_number[version]

    def in_use(self) -> list[ProgramVersion]:
        """Without the starter program that the first real one took the place of before anything was posted."""
        first = max((one.version for one in self.all if one.effective_from == BEGINNING), default=0)
        return [version for version in self.all if version.version >= first]

    def limited(self) -> bool:
        """Whether any version has rules that count what members had of them."""
        return any(version.needs.counters for version in self.all)

    def one_window(self) -> bool:
        """Whether all versions count tiers over the same window of the same days."""
        return self._one_window

    def one_idle_end(self) -> bool:
        """Whether idle points end alike under all versions: then a later activity never ends them sooner."""
        return self._one_idle_end

    def idle_deadline(self, counts_from: datetime) -> datetime:
        """When idle points die that count from an instant: by the version in force then that has idle points, or the
        last before it, or the first."""
        if not self._idle:
            return END_OF_TIME
        version = next((one for one in self._idle if one.effective_from <= counts_from), self._idle[-1])
        return idle_deadline(version.program.points, version.calendar, counts_from)


def _with_tiers_of(version: ProgramVersion, newest: ProgramVersion) -> ProgramVersion:
    """The version with the tiers that came after it, where the newest ranks them; nobody reaches them by it.

    A late purchase is judged by a version that may be older than the tier its member holds.
    """
    tiers = list(version.program.tiers)
    for below, tier in zip((None, *newest.program.tiers), newest.program.tiers, strict=False):
        ids = [one.id for one in tiers]
        if tier.id not in ids:
            tiers.insert(0 if below is None else ids.index(below.id) + 1, Tier(tier.id))
    if len(tiers) == len(version.program.tiers):
        return version
    program = msgspec.structs.replace(version.program, tiers=tuple(tiers))
    return msgspec.structs.replace(version, program=program, thresholds=_thresholds(program))


def _thresholds(program: Program) -> dict[str, tuple[int | None, int | None]]:
    return {tier.id: next_thresholds(program, tier.id) for tier in program.tiers}


def compiled(
    version: int, effective_from: datetime, source: str, format: str, author: str | None, note: str | None,
    recorded_at: datetime,
) -> ProgramVersion:  # fmt: skip
    """A version of the program, ready to judge by. Raises RuntimeError if its source has errors."""
    program = _read(version, source, format)
    return ProgramVersion(
        version, effective_from, source, format, author, note, recorded_at,
        program, compile_program(program), needs(program), calendar_of(program.time_zone), Pricing(program),
        _thresholds(program),
    )  # fmt: skip


def _read(version: int, source: str, format: str) -> Program:
    parsed = parse(source, "json" if format == "json" else "toml")
    if parsed.program is None:
        raise RuntimeError(f"version {version} of the program cannot be read: {parsed.diagnostics}")
    return parsed.program


async def load_programs(connection: Connection, known: Programs | None = None) -> Programs:
    """All versions in the database; those that `known` holds are not compiled again."""
    had = {version.version: version for version in known.all} if known else {}
    rows = await connection.fetch(query("program_versions"))
    return Programs([had.get(row["version"]) or compiled(*row) for row in rows])


async def put_program(
    connection: Connection,
    source: str,
    format: Literal["toml", "json"],
    effective_from: datetime | None,
    author: str | None,
    note: str | None,
) -> ProgramVersion:
    """Adds a version, in force from `effective_from` (None: now; the first: from the beginning of time).

    The very file that is in force, put again from now on, makes no version: the one in force is returned.

    Raises InvalidRequest if the file has errors, changes currency or tier ids, or would be in force before now.
    """
    parsed = parse(source, format)
    errors = [found for found in parsed.diagnostics if found.severity == "error"]
    if parsed.program is None or errors:
        raise InvalidRequest(
            "The program has errors; nothing was changed.",
            errors=[FieldError(found.key, found.message) for found in errors],
            diagnostics=msgspec.to_builtins(parsed.diagnostics),
        )
    async with connection.transaction():
        await _one_at_a_time(connection)
        known = await load_programs(connection)
        now = await connection.fetchval("select ledger_now()")
        if not known.all or await _only_starter(connection, known):
            effective_from = BEGINNING
        else:
            frame = same_frame(known.numbered(known.newest).program, parsed.program)
            if frame:
                raise InvalidRequest(
                    "Currency and tier ids of a program stay as they were; nothing was changed.",
                    errors=[FieldError(found.key, found.message) for found in frame],
                    diagnostics=msgspec.to_builtins(frame),
                )
            if effective_from is not None and effective_from < now:
                raise InvalidRequest(
                    "A version of the program is in force from now or later, never before.",
                    errors=[
                        FieldError(
                            "effective_from", f"{effective_from.isoformat()} is before {now.isoformat()}"
                        )
                    ],
                )
            newest = known.numbered(known.newest)
            again = (newest.source, newest.format) == (source, format) and effective_from is None
            if again and known.at(now) is newest:
                return newest
            effective_from = effective_from or now
        version = known.newest + 1
        # A sandbox's clock may have been set back before anything was posted; the order of recording stays.
        now = max([now, *(version.recorded_at for version in known.all)])
        row = (version, effective_from, source, format, author, note, now)
        previous = await connection.fetchval(query("program_last_hash"))
        await connection.execute(query("program_put"), *row, version_hash(previous or GENESIS, *row))
        await acts.note(connection, "program.put", str(version), effective_from=effective_from)
    return compiled(version, effective_from, source, format, author, note, now)


async def _only_starter(connection: Connection, known: Programs) -> bool:
    """Whether nobody has put a program yet and nothing was posted: then the next one is the first."""
    if [version.note for version in known.all] != [STARTER_NOTE]:
        return False
    return bool(await connection.fetchval("select not exists (select 1 from posting)"))


async def ensure_program(connection: Connection) -> None:
    """A database without a program gets the starter program, from one of the servers that start on it."""
    async with connection.transaction():
        await _one_at_a_time(connection)
        if await connection.fetchval("select not exists (select 1 from program_version)"):
            await put_program(connection, starter_source(), "toml", None, None, STARTER_NOTE)


async def _one_at_a_time(connection: Connection) -> None:
    """Until the transaction ends nobody else adds a version."""
    await connection.execute("select pg_advisory_xact_lock(hashtext('loyalty.program_version'))")
