"""`loyalty migrate`."""

import click

from loyalty.cli.session import DONE, run


@click.command()
def migrate() -> None:
    """Bring the database to this version's shape. Done twice it changes nothing."""

    async def work(url: str) -> int:
        from loyalty.db.migrate import migrate as apply

        applied = await apply(url)
        for name in applied:
            click.echo(f"applied {name}")
        if not applied:
            click.echo("The database is up to date.")
        return DONE

    run(work, migrated=False)
