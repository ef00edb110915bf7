"""`loyalty review-tiers`."""

from datetime import datetime

import click

from loyalty.cli.running import show_job
from loyalty.cli.session import run
from loyalty.cli.times import instant


@click.command("review-tiers")
@click.option(
    "--through", type=instant, metavar="TIME", help="Decide what is due until then; default and latest: now."
)
@click.option("--dry-run", is_flag=True, help="Only count; nothing is posted.")
def review_tiers(through: datetime | None, dry_run: bool) -> None:
    """Renew or lower the tiers whose validity has ended."""
    run(show_job("tier-review", through, dry_run))
