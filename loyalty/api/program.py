"""The program: the version in force, the history and what it changed, a new version, and a check of a file."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from loyalty.api.auth import OPS, caller
from loyalty.api.contract import call
from loyalty.api.reading import MAX_BODY, Call, context, in_path, media_type, read_body, read_query
from loyalty.api.reply import Reply, reply
from loyalty.engine.programs import Programs, ProgramVersion
from loyalty.engine.validate import check_instant
from loyalty.errors import InvalidRequest, NotFound
from loyalty.program.diagnostics import Diagnostic
from loyalty.program.diff import diff
from loyalty.program.parse import parse
from loyalty.types import Instant

TOML = "application/toml"
JSON = "application/json"
FileFormat = Literal["toml", "json"]


class ProgramAnswer(Struct, frozen=True):
    """A version of the program. `source` is the file as it was put, in `format`."""

    version: int
    effective_from: datetime
    recorded_at: datetime
    format: FileFormat
    source: str
    name: str
    currency: str
    time_zone: str
    author: str | None
    note: str | None


class VersionSummary(Struct, frozen=True):
    """Who put a version in force, when and why. The first is in force from the beginning of time."""

    version: int
    effective_from: datetime
    author: str | None
    note: str | None
    recorded_at: datetime


class VersionList(Struct, frozen=True):
    """All versions, newest first. `in_force` is the number of the one that judges purchases of now."""

    in_force: int
    versions: list[VersionSummary]


class DiffAnswer(Struct, frozen=True):
    """What changes between two versions: one plain sentence for each change."""

    from_: int = field(name="from")
    to: int
    changes: list[str]


class CheckAnswer(Struct, frozen=True):
    """What is wrong with a file; warnings leave it valid."""

    valid: bool
    diagnostics: list[Diagnostic]


class Put(Struct, frozen=True, forbid_unknown_fields=True):
    """From when the version is in force, and a note for those who read the history."""

    effective_from: Instant | None = None
    note: str | None = None


Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Between(Struct, frozen=True, forbid_unknown_fields=True):
    """Versions to compare. Left out: `from` is the one in force now, `to` the newest."""

    from_: Version | None = field(default=None, name="from")
    to: Version | None = None


class ProgramFile(Struct):
    """A program file (docs/PROGRAMS.md), as TOML or as the same tree in JSON."""


@call("GET", "/v1/program", roles=OPS, tag="Program", answers={200: ProgramAnswer})
async def read_program(request: Call) -> Reply:
    """Read the program in force, with its version."""
    engine = context(request).engine
    now = await engine.now()
    return reply(_answer((await engine.programs()).at(now)))


@call(
    "PUT",
    "/v1/program",
    roles=OPS,
    tag="Program",
    body=ProgramFile,
    body_media=(TOML, JSON),
    query=Put,
    answers={200: ProgramAnswer},
)
async def put_program(request: Call) -> Reply:
    """Put a new version in force, now or from `effective_from` on (never before now).

    A faulty file is refused with the diagnostics that a check gives. Currency and tier ids stay. The file that is in
    force already makes no version: the answer is the one in force.
    """
    wanted = read_query(request, Put)
    if wanted.effective_from is not None:
        check_instant("effective_from", wanted.effective_from)
    source, form = await _read_file(request)
    put = await context(request).engine.put_program(
        source, form, wanted.effective_from, caller(request).key_id, wanted.note
    )
    return reply(_answer(put))


@call("GET", "/v1/program/versions", roles=OPS, tag="Program", answers={200: VersionList})
async def list_program_versions(request: Call) -> Reply:
    """List the versions of the program, newest first: from when, by whom and why."""
    engine = context(request).engine
    programs, now = await engine.programs(), await engine.now()
    return reply(
        VersionList(
            in_force=programs.at(now).version,
            versions=[
                VersionSummary(one.version, one.effective_from, one.author, one.note, one.recorded_at)
                for one in sorted(programs.all, key=lambda one: -one.version)
            ],
        )
    )


@call(
    "GET",
    "/v1/program/versions/{version:str}",
    roles=OPS,
    tag="Program",
    answers={200: ProgramAnswer},
    problems=(NotFound,),
)
async def read_program_version(request: Call) -> Reply:
    """Read one version of the program, as it was put."""
    wanted = in_path(request, "version")
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else 0
    return reply(_answer(_numbered(await context(request).engine.programs(), number, wanted)))


@call(
    "GET",
    "/v1/program/diff",
    roles=OPS,
    tag="Program",
    query=Between,
    answers={200: DiffAnswer},
    problems=(NotFound,),
)
async def diff_program(request: Call) -> Reply:
    """Tell in plain words what one version of the program changes of another."""
    wanted = read_query(request, Between)
    engine = context(request).engine
    programs = await engine.programs()
    old = (
        programs.at(await engine.now())
        if wanted.from_ is None
        else _numbered(programs, wanted.from_, wanted.from_)
    )
    new = _numbered(programs, wanted.to or programs.newest, wanted.to)
    return reply(DiffAnswer(from_=old.version, to=new.version, changes=diff(old.as_put(), new.as_put())))


@call(
    "POST",
    "/v1/program/check",
    roles=OPS,
    tag="Program",
    body=ProgramFile,
    body_media=(TOML, JSON),
    answers={200: CheckAnswer},
)
async def check_program(request: Call) -> Reply:
    """Check a program file: what is wrong, with line and key. Nothing is changed."""
    source, form = await _read_file(request)
    parsed = parse(source, form, await context(request).engine.now())
    return reply(CheckAnswer(valid=parsed.program is not None, diagnostics=parsed.diagnostics))


def _numbered(programs: Programs, number: int, asked: object) -> ProgramVersion:
    if not 1 <= number <= programs.newest:
        raise NotFound(f"There is no version {asked} of the program; the newest is {programs.newest}.")
    return programs.numbered(number)


async def _read_file(request: Call) -> tuple[str, FileFormat]:
    kind = media_type(request, TOML.encode(), JSON.encode())
    body = await read_body(request, MAX_BODY)
    try:
        source = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest("The file is not UTF-8 text.") from None
    if "\0" in source:
        raise InvalidRequest("The file holds a zero character; it is not text.")
    return source, "toml" if kind == TOML.encode() else "json"


def _answer(version: ProgramVersion) -> ProgramAnswer:
    return ProgramAnswer(
        version=version.version,
        effective_from=version.effective_from,
        recorded_at=version.recorded_at,
        format="toml" if version.format == "toml" else "json",
        source=version.source,
        name=version.program.name,
        currency=version.program.currency,
        time_zone=version.program.time_zone.key,
        author=version.author,
        note=version.note,
    )


HANDLERS = (
    read_program,
    put_program,
    list_program_versions,
    read_program_version,
    diff_program,
    check_program,
)
