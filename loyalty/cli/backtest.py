"""`loyalty backtest`."""

from datetime import datetime
from pathlib import Path

import click

from loyalty.cli.program import format_of, line_of
from loyalty.cli.progress import Reporter
from loyalty.cli.session import DONE, FAILED, run, tell, vault
from loyalty.cli.times import instant
from loyalty.program.parse import parse


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--from", "start", type=instant, metavar="TIME", help="FILE is in force from then on; default: always."
)
@click.option(
    "--to", "end", type=instant, metavar="TIME", help="Leave out what occurred from then on; default: now."
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    help="Write the result there as JSON (- for stdout).",
)
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path), help="Write a report with charts there."
)
@click.option(
    "--verify",
    is_flag=True,
    help="Decide everything again under what was in force too; must come to the ledger.",
)
@click.option("--processes", type=click.IntRange(1, 64), help="How many share the work; default: the cores.")
def backtest(
    file: Path,
    start: datetime | None,
    end: datetime | None,
    json_file: Path | None,
    html_file: Path | None,
    verify: bool,
    processes: int | None,
) -> None:
    """Tell what the program in FILE would have cost: replay the recorded history under it.

    Every purchase, return, redemption and adjustment of all members is decided again, tiers and expiry included,
    and stands beside what the ledger holds. Reads one consistent state of the ledger, beside live traffic, and writes
    nothing into it. Exit code 1 means that FILE has errors, or that replaying what was in force did not come to what
    the ledger holds.
    """

    async def work(url: str) -> int:
        import msgspec

        from loyalty.backtest import backtest as replay
        from loyalty.processes import cores

        form, source = format_of(file), file.read_bytes()
        found = parse(source, form).diagnostics
        for diagnostic in found:
            tell(line_of(file, diagnostic))
        if any(diagnostic.severity == "error" for diagnostic in found):
            tell(f"{file} has errors; nothing was replayed.")
            return FAILED
        with Reporter("backtest") as report:
            result = await replay(
                url,
                source.decode("utf-8-sig"),
                form,
                start=start,
                end=end,
                vault=vault(),
                processes=processes or cores(),
                verify=verify,
                progress=lambda part, what: report(f"{what}, percent", round(part * 100), 100),
            )
        tell(
            f"{result.purchases:,} purchases of {result.postings:,} postings replayed in "
            f"{result.seconds:.1f} s, {result.purchases_per_second:,.0f} purchases a second, "
            f"{result.processes} {'process' if result.processes == 1 else 'processes'}."
        )
        if json_file is not None:
            text = msgspec.json.format(msgspec.json.encode(result)).decode()
            if str(json_file) == "-":
                click.echo(text)
            else:
                json_file.write_text(text + "\n", encoding="utf-8")
        if html_file is not None:
            from loyalty.backtest.html import page

            html_file.write_text(page(result), encoding="utf-8")
        if json_file is None or str(json_file) != "-":
            from loyalty.cli.backtest_tables import show

            show(result)
        if result.reproduced.different:
            tell(
                f"The replay of what was in force differs from the ledger in {result.reproduced.different:,} accounts:"
            )
            for example in result.reproduced.examples:
                tell(f"  {example}")
            return FAILED
        return DONE

    run(work)
