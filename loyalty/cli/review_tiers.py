"""`loyalty review-tiers`."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from loyalty.cli.running import show_counts, show_job
from loyalty.cli.session import run
from loyalty.cli.tables import console, table
from loyalty.cli.times import instant

if TYPE_CHECKING:
    from loyalty.engine.engine import Engine


@click.command("review-tiers")
@click.option(
    "--through", type=instant, metavar="TIME", help="Decide what is due until then; default and latest: now."
)
@click.option("--dry-run", is_flag=True, help="Only tell who would move; nothing is posted.")
def review_tiers(through: datetime | None, dry_run: bool) -> None:
    """Renew or lower the tiers whose validity has ended, and show who moves where."""
    run(show_job("tier-review", lambda engine, *how: engine.review_tiers(*how), through, dry_run, _show))


def _show(engine: "Engine", counts: dict[str, int]) -> None:
    """The counts, and below them members by their tier before (down) and after (across)."""
    show_counts(engine, {name: value for name, value in counts.items() if ">" not in name})
    moves = {tuple(name.split(">")): value for name, value in counts.items() if ">" in name}
    if not moves:
        return
    program = engine.programs_known.numbered(engine.programs_known.newest).program
    tiers = [tier.id for tier in program.tiers]
    rows = table("", *tiers, width=8, title="Members: tier before down, tier after across")
    for place, was in enumerate(tiers):
        row = [moves.get((was, now), 0) for now in tiers]
        if any(row):
            styles = ["" if now == place else "red" if now < place else "green" for now in range(len(tiers))]
            cells = zip(row, styles, strict=True)
            rows.add_row(was, *(f"[{style or 'none'}]{n:,}[/]" if n else "." for n, style in cells))
    console().print(rows)
