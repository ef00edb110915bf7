"""`loyalty time-out-holds`."""

from datetime import datetime

import click

from loyalty.cli.running import show_job
from loyalty.cli.session import run
from loyalty.cli.times import instant


@click.command("time-out-holds")
@click.option(
    "--through", type=instant, metavar="TIME", help="Post what is due until then; default and latest: now."
)
@click.option("--dry-run", is_flag=True, help="Only count; nothing is posted.")
def time_out_holds(through: datetime | None, dry_run: bool) -> None:
    """Give back the points of holds that have ended. Balances are right without it; the books get their postings."""
    run(show_job("hold-timeouts", lambda engine, *how: engine.time_out_holds(*how), through, dry_run))
