"""`loyalty privacy new-key | rotate`."""

import click

from loyalty.cli.progress import Reporter
from loyalty.cli.session import DONE, run, tell, vault
from loyalty.members.secret import new_secret


@click.group()
def privacy() -> None:
    """Look after the encryption of personal data."""


@privacy.command("new-key")
def new_key() -> None:
    """Print a new secret for LOYALTY_SECRET_KEYS. It is kept nowhere: keep it safe, and apart from the database."""
    click.echo(new_secret())


@privacy.command()
def rotate() -> None:
    """Encrypt everything anew with the first secret of LOYALTY_SECRET_KEYS.

    All servers must know it by then, beside those before. Runs beside the tills; stopped, it goes on when run again.
    """

    async def work(url: str) -> int:
        from loyalty.members.rotate import rotate as seal_anew

        with Reporter("privacy") as report:
            sealed, key = await seal_anew(
                url, vault(), lambda done, of: report("accounts gone through", done, of)
            )
        click.echo(f"{sealed:,} values were encrypted anew, with the secret {key.id.hex()}.")
        tell(
            "The other secrets can leave LOYALTY_SECRET_KEYS now. Keep them as long as backups that need them."
        )
        return DONE

    run(work)
