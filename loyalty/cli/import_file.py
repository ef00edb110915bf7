"""`loyalty import FILE`."""

import time
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from loyalty.cli import times
from loyalty.cli.progress import Reporter
from loyalty.cli.session import DONE, FAILED, run, tell, vault
from loyalty.importing.source import Source, UnreadableFileError
from loyalty.importing.summary import EXAMPLES, Summary, default_rejects, write_rejects


def _assignment(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} must be like member_ref=customer.")
    return ours.strip(), theirs.strip()


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--kind", type=click.Choice(["documents", "members"]), help="What FILE holds; default: by its columns."
)
@click.option(
    "--column", "columns", type=_assignment, metavar="OURS=THEIRS", multiple=True,
    help="The file's name of a column of ours: --column member_ref=customer. Empty: do not read it.",
)  # fmt: skip
@click.option(
    "--set", "constants", type=_assignment, metavar="OURS=VALUE", multiple=True,
    help="One value for a column that the file lacks: --set channel=pos.",
)  # fmt: skip
@click.option(
    "--members", type=click.Choice(["enrol", "refuse"]), default="enrol", help="Members not known yet."
)
@click.option(
    "--unknown-purchase", type=click.Choice(["reject", "unlinked"]), default="reject",
    help="Returns whose purchase is not on record: reject them, or take them as without one.",
)  # fmt: skip
@click.option(
    "--time-zone",
    "zone",
    type=times.zone,
    metavar="ZONE",
    help="Of times that carry no offset: Asia/Shanghai.",
)
@click.option("--encoding", default="utf-8-sig", help="Of the file: gb18030, latin-1 …", show_default="UTF-8")
@click.option("--delimiter", help="Between columns; default: the one that the first line has most of.")
@click.option("--processes", type=click.IntRange(1, 64), help="How many share the work; default: all cores.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Where rejected rows go.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
def import_file(
    file: Path,
    kind: str | None,
    columns: tuple[tuple[str, str], ...],
    constants: tuple[tuple[str, str], ...],
    members: str,
    unknown_purchase: str,
    zone: ZoneInfo | None,
    encoding: str,
    delimiter: str | None,
    processes: int | None,
    rejects: Path | None,
    as_json: bool,
) -> None:
    """Take in FILE: purchases and returns, or members with opening points and tiers.

    FILE is CSV or NDJSON, also as .gz, .bz2 or .xz; rows may stand in any order. Run twice it doubles nothing;
    stopped, it goes on. Rows that cannot be taken go to a file with their reasons: mend it and import it.
    Columns and rules: docs/IMPORT.md.
    """
    try:
        source = Source(
            file, columns=dict(columns), constants=dict(constants), encoding=encoding, delimiter=delimiter
        )
        holds = kind or source.holds
        unread = source.check(holds)
    except UnreadableFileError as e:
        raise click.UsageError(str(e)) from None
    if unread:
        tell(f"Columns not read: {', '.join(unread)}.")

    async def work(url: str) -> int:
        from loyalty.currency import minor_digits
        from loyalty.engine.engine import Engine
        from loyalty.importing.post import Options
        from loyalty.importing.post_members import import_members
        from loyalty.importing.run import import_documents
        from loyalty.members.secret import check_secret
        from loyalty.processes import cores

        started = time.monotonic()
        engine = await Engine.open(url, vault())
        try:
            await check_secret(engine.pool, engine.vault)
            program = (await engine.programs()).at(await engine.now()).program
            options = Options(
                digits=minor_digits(program.currency),
                zone=zone,
                enrol=members == "enrol",
                unknown_purchase="unlinked" if unknown_purchase == "unlinked" else "reject",
            )
            with Reporter(file.name) as report:
                if holds == "members":
                    summary = await import_members(engine, source, options, report)
                else:
                    summary = await import_documents(
                        engine, source, options, report, database_url=url, processes=processes or cores()
                    )
        finally:
            await engine.close()
        where = None
        if summary.rejected_lines:
            where = rejects or default_rejects(file, ndjson=source.ndjson)
            write_rejects(source, summary, where)
        seconds = time.monotonic() - started
        show = _json if as_json else _text
        click.echo(show(file, summary, where, seconds))
        return FAILED if summary.refused else DONE

    run(work)


def _json(file: Path, summary: Summary, rejects: Path | None, seconds: float) -> str:
    counts = {
        "file": str(file),
        "rows": summary.rows,
        "documents": summary.documents,
        "created": dict(summary.created),
        "replayed": dict(summary.replayed),
        "anonymous": summary.anonymous,
        "enrolled": summary.enrolled,
        "refused": dict(summary.refused),
        "lines": summary.examples,
        "rejects": None if rejects is None else str(rejects),
        "seconds": round(seconds, 3),
    }
    return msgspec.json.encode(counts).decode()


def _text(file: Path, summary: Summary, rejects: Path | None, seconds: float) -> str:
    rate = round(summary.documents / max(seconds, 0.001))
    lines = [
        f"{file.name}: {summary.rows:,} rows, {summary.documents:,} documents in {seconds:.1f} s ({rate:,} a second)",
        f"{'':<34}{'new':>10}{'on record':>12}",
    ]
    for what in sorted({*summary.created, *summary.replayed}):
        lines.append(f"  {what:<32}{summary.created[what]:>10,}{summary.replayed[what]:>12,}")
    if summary.enrolled:
        lines.append(f"  {'members enrolled':<32}{summary.enrolled:>10,}")
    if summary.anonymous:
        lines.append(f"Anonymous documents skipped: {summary.anonymous:,}")
    if summary.refused:
        lines.append(f"Rejected: {sum(summary.refused.values()):,}")
        lines += [_reason(reason, count, summary.examples) for reason, count in summary.refused.most_common()]
        lines.append(f"Their {len(summary.rejected_lines):,} rows, each with its reason, are in {rejects}:")
        lines.append("mend them there and import that file.")
    return "\n".join(lines)


def _reason(reason: str, count: int, examples: Mapping[str, list[int]]) -> str:
    shown = examples[reason]
    more = ", …" if count > EXAMPLES else ""
    return f"  {reason:<32}{count:>10,}  line {', '.join(map(str, shown))}{more}"
