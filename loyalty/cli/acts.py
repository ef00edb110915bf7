"""`loyalty acts`."""

import click

from loyalty.cli.session import DONE, run
from loyalty.db.connect import open_pool


@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, help="How many; default 50.")
def acts(limit: int) -> None:
    """Show what was done by hand, newest first: who did what, when, on what."""

    async def work(url: str) -> int:
        from loyalty.acts import list_acts

        async with await open_pool(url, size=1, application_name="loyalty acts") as pool:
            found, _ = await list_acts(pool, None, limit)
        for act in found:
            who = act.key_name if act.key_id is None else f"{act.key_name} ({act.key_id})"
            details = "".join(f" {name}={value}" for name, value in act.details.items())
            click.echo(f"{act.at:%Y-%m-%d %H:%M:%S}Z  {act.what:<16}  {act.target}{details}  by {who}")
        return DONE

    run(work)
