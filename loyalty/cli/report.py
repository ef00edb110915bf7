"""`loyalty report liability`."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from loyalty.cli.session import DONE, FAILED, run, tell
from loyalty.cli.times import instant
from loyalty.currency import shown

if TYPE_CHECKING:
    from rich.table import Table

    from loyalty.engine.answers import Liability, LiabilityPart


@click.group()
def report() -> None:
    """Reports for finance."""


@report.command()
@click.option("--as-of", type=instant, metavar="TIME", help="As things stood then; default: now.")
@click.option("--known-at", type=instant, metavar="TIME", help="As was known then; default: now.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, amounts in minor units.")
def liability(as_of: datetime | None, known_at: datetime | None, as_json: bool) -> None:
    """Points outstanding by tier and by month of expiry, what they are worth, and the sums that prove them."""

    async def work(url: str) -> int:
        from loyalty.engine.answers import Liability
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url, pool_size=2)
        try:
            found = await engine.liability(as_of, known_at)
        finally:
            await engine.close()
        assert isinstance(found, Liability)
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode(found).decode())
        else:
            _print(found)
        if found.proven:
            return DONE
        tell("The sums do not agree: run `loyalty audit`, which names the rows.")
        return FAILED

    run(work)


def _print(found: "Liability") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(
        f"[bold]Liability as of {found.as_of:%Y-%m-%d %H:%M:%S} UTC[/bold], {found.members:,} members\n"
    )
    console.print(_parts("tier", [(part.tier or "", part) for part in found.by_tier], found.currency))
    months = [(part.month or "never", part) for part in found.by_expiry]
    console.print(_parts("expires in", months, found.currency))
    sums = _table("", "points")
    for name, points in (
        ("issued", found.issued),
        ("+ adjusted", found.adjusted),
        ("- redeemed", found.redeemed),
        ("- expired", found.expired),
        ("= balance", found.balance),
        ("+ debt of members", found.debt),
        ("= outstanding", found.outstanding),
        ("of these held", found.held),
    ):
        sums.add_row(name, f"{points:,}")
    console.print(sums)
    proof = "[green]✔ the sums agree[/green]" if found.proven else "[red]✘ the sums do not agree[/red]"
    console.print(
        f"[bold]{found.outstanding:,}[/bold] points outstanding, worth "
        f"[bold]{shown(found.amount, found.currency)}[/bold]   {proof}"
    )


def _parts(name: str, parts: "list[tuple[str, LiabilityPart]]", currency: str) -> "Table":
    table = _table(name, "points", "worth")
    for label, part in parts:
        table.add_row(label, f"{part.points:,}", shown(part.amount, currency))
    return table


def _table(first: str, *others: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, min_width=18)
    for other in others:
        table.add_column(other, justify="right", min_width=14)
    return table
