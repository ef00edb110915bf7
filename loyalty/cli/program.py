"""`loyalty program check | diff | apply | show | schema`."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import click

from loyalty.cli.session import DONE, FAILED, run, tell, told
from loyalty.cli.times import instant
from loyalty.program.diagnostics import Diagnostic
from loyalty.program.diff import diff as differences
from loyalty.program.model import Program
from loyalty.program.parse import parse

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def program() -> None:
    """Check, apply and show the program: the file that says how points are earned, spent and lost."""


@program.command()
@click.argument("file", type=_FILE)
@click.pass_context
def check(ctx: click.Context, file: Path) -> None:
    """Read FILE and tell everything that is wrong with it, by line and key. Needs no database."""
    found = parse(file.read_bytes(), format_of(file), datetime.now(UTC)).diagnostics
    for diagnostic in found:
        click.echo(line_of(file, diagnostic))
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    if errors:
        tell(f"{file}: {errors} {'error' if errors == 1 else 'errors'}.")
        ctx.exit(FAILED)
    tell(f"{file} is valid.")


@program.command()
@click.argument("file", type=_FILE)
@click.option("--effective-from", type=instant, metavar="TIME", help="In force from then on; default: now.")
@click.option("--author", help="Who says so, for the record.")
@click.option("--note", help="Why, for the record.")
def apply(file: Path, effective_from: datetime | None, author: str | None, note: str | None) -> None:
    """Put FILE in force as a new version. The first version is in force from the beginning of time."""

    async def work(url: str) -> int:
        from loyalty.engine.engine import Engine

        form = format_of(file)
        source = file.read_bytes()
        found = parse(source, form, effective_from or datetime.now(UTC)).diagnostics
        for diagnostic in found:
            tell(line_of(file, diagnostic))
        if any(diagnostic.severity == "error" for diagnostic in found):
            tell(f"{file} has errors; nothing was changed.")
            return FAILED
        engine = await Engine.open(url, pool_size=1)
        try:
            before = (await engine.programs()).at(effective_from or await engine.now())
            version = await engine.put_program(source.decode(), form, effective_from, author, note)
        finally:
            await engine.close()
        if version.version == before.version:
            click.echo(f"{file} is in force already, as version {version.version}: nothing was changed.")
            return DONE
        changes = differences(before.program, version.program)
        tell(f"Compared with version {before.version}:" + (" nothing changes." if not changes else ""))
        for change in changes:
            tell(f"  {change}")
        click.echo(f"Version {version.version} is in force from {version.effective_from.isoformat()} on.")
        return DONE

    run(work)


@program.command()
@click.option(
    "--version", type=click.IntRange(min=1), help="An older or coming one; default: the one in force."
)
def show(version: int | None) -> None:
    """Print the program in force as it was applied, ready to be changed and applied again."""

    async def work(url: str) -> int:
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url, pool_size=1)
        try:
            versions = await engine.programs()
            if version is not None and version > versions.newest:
                tell(f"There is no version {version}; the newest is {versions.newest}.")
                return FAILED
            found = versions.at(await engine.now()) if version is None else versions.numbered(version)
        finally:
            await engine.close()
        tell(f"Version {found.version}, in force from {found.effective_from.isoformat()} on.")
        click.echo(found.source, nl=not found.source.endswith("\n"))
        return DONE

    run(work)


@program.command()
@click.argument("files", nargs=-1, type=_FILE, metavar="[OLD] [NEW]")
@click.option(
    "--version", "versions", type=click.IntRange(min=1), multiple=True, help="A version instead of a file."
)
def diff(files: tuple[Path, ...], versions: tuple[int, ...]) -> None:
    """Tell in plain words what changes from OLD to NEW.

    Each is a file, or a version (`--version 3`, which comes before files). With one alone, the other is the
    program in force: it is OLD to a file, and NEW to a version. Two files need no database.
    """
    if not 1 <= len(files) + len(versions) <= 2:
        raise click.UsageError("Name one or two programs: files, or versions with --version.")
    if len(files) == 2:
        sys.exit(told(lambda: _tell_changes(_read(files[0]), _read(files[1]))))
    read = [_read(file) for file in files]

    async def work(url: str) -> int:
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url, pool_size=1)
        try:
            known = await engine.programs()
            now = await engine.now()
        finally:
            await engine.close()
        for version in versions:
            if version > known.newest:
                tell(f"There is no version {version}; the newest is {known.newest}.")
                return FAILED
        sides = [known.numbered(version).program for version in versions] + read
        if len(sides) == 1:
            sides.insert(0 if read else 1, known.at(now).program)
        return _tell_changes(*sides)

    run(work)


def _read(file: Path) -> Program:
    parsed = parse(file.read_bytes(), format_of(file))
    if parsed.program is None:
        for diagnostic in parsed.diagnostics:
            tell(line_of(file, diagnostic))
        raise click.ClickException(f"{file} has errors.")
    return parsed.program


def _tell_changes(old: Program, new: Program) -> int:
    changes = differences(old, new)
    for change in changes:
        click.echo(change)
    if not changes:
        tell("Nothing changes.")
    return DONE


@program.command()
def schema() -> None:
    """Print the JSON Schema of program files, for editors. Needs no database.

    Save it beside the file and write `#:schema ./program.schema.json` as the file's first line: editors that
    know TOML (Taplo, Even Better TOML) then complete keys and mark mistakes.
    """
    from loyalty.program.schema import schema as made

    click.echo(json.dumps(made(), indent=2, ensure_ascii=False))


def format_of(file: Path) -> Literal["toml", "json"]:
    return "json" if file.suffix.lower() == ".json" else "toml"


def line_of(file: Path, diagnostic: Diagnostic) -> str:
    place = f"{file}:{diagnostic.line}" if diagnostic.line is not None else str(file)
    warning = "warning: " if diagnostic.severity == "warning" else ""
    return (
        f"{place}: {warning}{diagnostic.key}: {diagnostic.message}"
        if diagnostic.key
        else (f"{place}: {warning}{diagnostic.message}")
    )
