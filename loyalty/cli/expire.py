"""`loyalty expire`."""

from datetime import datetime

import click

from loyalty.cli.running import show_job
from loyalty.cli.session import run
from loyalty.cli.times import instant


@click.command()
@click.option(
    "--through", type=instant, metavar="TIME", help="Post what is due until then; default and latest: now."
)
@click.option("--dry-run", is_flag=True, help="Only count; nothing is posted.")
def expire(through: datetime | None, dry_run: bool) -> None:
    """Post the points that are due to expire. Balances are right without it; the books get their entries."""
    run(show_job("expiry", lambda engine, *how: engine.expire(*how), through, dry_run))
