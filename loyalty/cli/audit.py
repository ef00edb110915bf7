"""`loyalty audit`."""

from typing import TYPE_CHECKING

import click

from loyalty.cli.progress import Reporter
from loyalty.cli.session import DONE, FAILED, run, tell

if TYPE_CHECKING:
    from loyalty.audit import Findings


@click.command()
@click.option(
    "--processes", type=click.IntRange(1, 64), default=2, show_default=True, help="How many share the work."
)
@click.option(
    "--show",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="Most rows to name; all are counted.",
)
def audit(processes: int, show: int) -> None:
    """Recompute everything from the entries and name what differs.

    Reads one consistent state of the ledger, beside live traffic, and writes nothing. The digest changes with every
    posting and every version of the program: written down elsewhere, it shows that the ledger of that time was this
    one. Exit code 1 means that a row differs.
    """

    async def work(url: str) -> int:
        from loyalty.audit import audit as audit_ledger

        with Reporter("audit") as report:
            found = await audit_ledger(
                url,
                processes=processes,
                progress=lambda part, _: report("percent", round(part * 100), 100),
            )
        tell(
            f"{found.totals.rows:,} rows in {found.seconds:.1f} s, {found.rows_per_second:,.0f} a second; "
            f"digest {found.digest}"
        )
        click.echo(verdict(found))
        if found.clean:
            return DONE
        _table(found, show)
        return FAILED

    run(work)


def verdict(found: "Findings") -> str:
    """The result in one line."""
    if not found.clean:
        return f"{found.count:,} {'row differs' if found.count == 1 else 'rows differ'}"
    totals = found.totals
    return (
        f"clean: {totals.accounts:,} accounts, {totals.postings:,} postings, {totals.entries:,} entries, "
        f"{totals.lots:,} lots; {totals.issued:,} points issued, {-totals.redeemed:,} redeemed, "
        f"{-totals.expired:,} expired, {totals.adjusted:,} adjusted, {totals.outstanding:,} outstanding"
    )


def _table(found: "Findings", show: int) -> None:
    for row in found.rows[:show]:
        owner = f"account {row.account}" if row.account is not None else ""
        owner += f" ({row.member_id})" if row.member_id else ""
        table = row.table if row.table != "account" or not owner else ""
        place = ", ".join(part for part in (owner, table, row.key) if part)
        click.echo(f"  {place}: {row.message}")
    left = found.count - min(show, len(found.rows))
    if left:
        click.echo(f"  and {left:,} more")
