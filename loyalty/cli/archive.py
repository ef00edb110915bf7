"""`loyalty archive`."""

from datetime import datetime

import click

from loyalty.cli.running import show_job
from loyalty.cli.session import run
from loyalty.cli.times import instant


@click.command()
@click.option(
    "--before", type=instant, metavar="TIME", required=True, help="What was recorded before then is archived."
)
@click.option("--dry-run", is_flag=True, help="Only count; nothing is moved.")
def archive(before: datetime, dry_run: bool) -> None:
    """Move the long texts of old postings to a table of their own, which may lie on cheaper disk.

    Nothing else changes: the past, returns, explanations, repeated requests, audit and backtest read them there.
    History that was imported counts from its import. Servers of versions before this one cannot read the archive.
    """
    run(show_job("archive", lambda engine, *how: engine.archive(*how), before, dry_run))
