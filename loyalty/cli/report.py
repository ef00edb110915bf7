"""`loyalty report`: liability, rewards, and tier warnings."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from loyalty.cli.session import DONE, FAILED, run, tell
from loyalty.cli.tables import console, table
from loyalty.cli.times import instant
from loyalty.currency import shown

if TYPE_CHECKING:
    from rich.table import Table

    from loyalty.calendar import Calendar
    from loyalty.engine.answers import Liability, LiabilityPart
    from loyalty.engine.tier_answers import ProjectedTier, TierWarning
    from loyalty.rewards.answers import RewardReport


@click.group()
def report() -> None:
    """Reports for finance and for those who look after members."""


@report.command()
@click.option("--as-of", type=instant, metavar="TIME", help="As things stood then; default: now.")
@click.option("--known-at", type=instant, metavar="TIME", help="As was known then; default: now.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, amounts in minor units.")
def liability(as_of: datetime | None, known_at: datetime | None, as_json: bool) -> None:
    """Points outstanding by tier and by month of expiry, what they are worth, and the sums that prove them."""

    async def work(url: str) -> int:
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url, pool_size=2)
        try:
            found = await engine.liability(as_of, known_at)
        finally:
            await engine.close()
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


@report.command()
@click.option("--from", "from_at", type=instant, metavar="TIME", help="Claims made from then on.")
@click.option("--until", type=instant, metavar="TIME", help="Claims made before then.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, amounts in minor units.")
def rewards(from_at: datetime | None, until: datetime | None, as_json: bool) -> None:
    """How often each reward was claimed, what became of the vouchers, and the points that were paid."""

    async def work(url: str) -> int:
        from loyalty.engine.engine import Engine
        from loyalty.engine.reward_figures import reward_report

        engine = await Engine.open(url, pool_size=1)
        try:
            found = await reward_report(engine, from_at, until)
            currency = engine.programs_known.at(found.as_of).program.currency
        finally:
            await engine.close()
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode(found).decode())
        else:
            _print_rewards(found, currency)
        return DONE

    run(work)


@report.command("tier-warnings")
@click.option("--within-days", type=click.IntRange(1, 366), default=30, show_default=True, metavar="DAYS")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one member a line, amounts in minor units.")
def tier_warnings(within_days: int, as_json: bool) -> None:
    """Members whose tier would fall within so many days if they bought nothing more, and what they need to keep it."""

    async def work(url: str) -> int:
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url, pool_size=2)
        try:
            cursor: str | None = None
            found: list[TierWarning] = []
            while True:
                page = await engine.tier_warnings(within_days, cursor, 200)
                if as_json:
                    _lines(page.warnings)
                else:
                    found += page.warnings
                cursor = page.next_cursor
                if cursor is None:
                    break
        finally:
            await engine.close()
        if not as_json:
            version = engine.programs_known.at(page.as_of)
            _print_warnings(found, within_days, version.program.currency, version.calendar)
        return DONE

    run(work)


def _lines(warnings: "list[TierWarning]") -> None:
    import msgspec

    for warning in warnings:
        click.echo(msgspec.json.encode(warning).decode())


def _print_warnings(warnings: "list[TierWarning]", days: int, currency: str, calendar: "Calendar") -> None:
    out = console()
    members = f"{len(warnings):,} member{'' if len(warnings) == 1 else 's'}"
    out.print(f"[bold]{members}[/bold] would fall within {days} day{'' if days == 1 else 's'}\n")
    if not warnings:
        return
    rows = table("member", "tier", "falls to", "on", "needs to keep it")
    for warning in warnings:
        coming = warning.projected
        rows.add_row(
            warning.member_id,
            warning.tier,
            coming.tier,
            f"{calendar.day(coming.at)}",
            _needs(coming, currency),
        )
    out.print(rows)


def _print_rewards(found: "RewardReport", currency: str) -> None:
    rows = table("reward", "claims", "open", "used", "cancelled", "expired", "points", "cash given", width=8)
    for one in found.rewards:
        counts = (one.claims, one.open, one.used, one.cancelled, one.expired, one.points)
        cash = shown(one.amount, currency) if one.kind == "cash" else ""
        rows.add_row(one.reward_id, *(f"{count:,}" for count in counts), cash)
    console().print(rows)


def _needs(coming: "ProjectedTier", currency: str) -> str:
    needed = coming.needed
    if needed is None:
        return ""
    parts = [] if needed.spend_amount is None else [shown(needed.spend_amount, currency)]
    parts += [] if needed.visits is None else [f"{needed.visits:,} visit{'' if needed.visits == 1 else 's'}"]
    return (" or " if needed.need == "any" else " and ").join(parts)


def _print(found: "Liability") -> None:
    out = console()
    out.print(
        f"[bold]Liability as of {found.as_of:%Y-%m-%d %H:%M:%S} UTC[/bold], {found.members:,} members\n"
    )
    out.print(_parts("tier", [(part.tier or "", part) for part in found.by_tier], found.currency))
    months = [(part.month or "never", part) for part in found.by_expiry]
    out.print(_parts("expires in", months, found.currency))
    sums = table("", "points")
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
    out.print(sums)
    proof = "[green]✔ the sums agree[/green]" if found.proven else "[red]✘ the sums do not agree[/red]"
    out.print(
        f"[bold]{found.outstanding:,}[/bold] points outstanding, worth "
        f"[bold]{shown(found.amount, found.currency)}[/bold]   {proof}"
    )


def _parts(name: str, parts: "list[tuple[str, LiabilityPart]]", currency: str) -> "Table":
    made = table(name, "points", "worth")
    for label, part in parts:
        made.add_row(label, f"{part.points:,}", shown(part.amount, currency))
    return made
