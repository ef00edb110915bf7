"""The program: the version in force, a new version, and a check of a file."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from loyalty.api.auth import OPS, caller
from loyalty.api.contract import call
from loyalty.api.reading import MAX_BODY, Call, context, media_type, read_body, read_query
from loyalty.api.reply import Reply, reply
from loyalty.engine.programs import ProgramVersion
from loyalty.engine.validate import check_instant
from loyalty.errors import InvalidRequest
from loyalty.program.diagnostics import Diagnostic
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


class CheckAnswer(Struct, frozen=True):
    """What is wrong with a file; warnings leave it valid."""

    valid: bool
    diagnostics: list[Diagnostic]


class Put(Struct, frozen=True, forbid_unknown_fields=True):
    """From when the version is in force, and a note for those who read the history."""

    effective_from: Instant | None = None
    note: str | None = None


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

    A faulty file is refused with the diagnostics that a check gives. Currency and tier ids stay.
    """
    wanted = read_query(request, Put)
    if wanted.effective_from is not None:
        check_instant("effective_from", wanted.effective_from)
    source, form = await _read_file(request)
    put = await context(request).engine.put_program(
        source, form, wanted.effective_from, caller(request).key_id, wanted.note
    )
    return reply(_answer(put))


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
    parsed = parse(source, form)
    return reply(CheckAnswer(valid=parsed.program is not None, diagnostics=parsed.diagnostics))


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


HANDLERS = (read_program, put_program, check_program)
