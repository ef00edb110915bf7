"""`loyalty rewards list | put | stock | schema`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from loyalty.cli.session import DONE, run, tell
from loyalty.cli.tables import console, table
from loyalty.currency import shown

if TYPE_CHECKING:
    from loyalty.rewards.answers import Reward


@click.group()
def rewards() -> None:
    """Look after the catalogue: what members can have for points, and how much of it there is."""


@rewards.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one reward a line, amounts in minor units.")
def list_(as_json: bool) -> None:
    """List the whole catalogue, also what cannot be claimed today."""

    async def work(url: str) -> int:
        from loyalty.engine import catalogue
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url, pool_size=1)
        try:
            found = (await catalogue.rewards(engine)).rewards
            currency = engine.programs_known.at(await engine.now()).program.currency
        finally:
            await engine.close()
        if as_json:
            for reward in found:
                click.echo(msgspec.json.encode(reward).decode())
        else:
            _print(found, currency)
        return DONE

    run(work)


@rewards.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def put(file: Path) -> None:
    """Make the rewards of FILE, or new versions of them, in force at once; others stay as they are.

    FILE is TOML: a `[[rewards]]` with its `id` and its terms for each (docs/REWARDS.md). Run again, it changes nothing.
    """
    from loyalty.rewards.file import read

    try:
        wanted = read(file.read_text("utf-8"))
    except ValueError as error:  # also what is not UTF-8
        raise click.BadParameter(f"{file}: {error}") from None

    async def work(url: str) -> int:
        from loyalty.engine.catalogue import put_rewards
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url, pool_size=2)
        try:
            put = await put_rewards(engine, wanted, None)
        finally:
            await engine.close()
        for made, before in put:
            how = "made" if before is None else "as it was" if before == made.version else "changed"
            click.echo(f"{made.reward_id}: {how}, version {made.version}")
        return DONE

    run(work)


@rewards.command()
def schema() -> None:
    """Print the JSON Schema of such files, for editors. Needs no database.

    Save it beside the file and write `#:schema ./rewards.schema.json` as the file's first line.
    """
    from loyalty.rewards.file import schema as made

    click.echo(json.dumps(made(), indent=2, ensure_ascii=False))


@rewards.command(context_settings={"ignore_unknown_options": True})
@click.argument("reward_id", metavar="REWARD")
@click.argument("units", type=int)
@click.option("--id", "stock_id", required=True, help="Of this delivery; the same id again moves nothing.")
@click.option("--reason", help="Why, for the record.")
def stock(reward_id: str, units: int, stock_id: str, reason: str | None) -> None:
    """Add UNITS to the stock of REWARD; below zero, take what broke or was lost."""

    async def work(url: str) -> int:
        from loyalty.engine.catalogue import move_stock
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url, pool_size=1)
        try:
            moved, replayed = await move_stock(engine, reward_id, stock_id, units, reason, None)
        finally:
            await engine.close()
        if replayed:
            tell(f"{stock_id} was recorded before: nothing was moved.")
        click.echo(f"{reward_id}: {moved.units:+,}, {moved.stock:,} in stock")
        return DONE

    run(work)


def _print(rewards: "list[Reward]", currency: str) -> None:
    rows = table("reward", "kind", "points", "worth", "stock", "for", "from", "until", width=6)
    for one in rewards:
        terms = one.terms
        rows.add_row(
            one.reward_id,
            terms.kind,
            f"{terms.points:,}",
            shown(terms.amount, currency) if terms.amount is not None else "",
            "no end" if one.stock is None else f"{one.stock:,}",
            ", ".join(terms.tiers) or "all",
            f"{terms.from_ or ''}",
            f"{terms.until or ''}" if one.open else f"[red]{terms.until or ''}[/]",
        )
    console().print(rows)
