"""`loyalty privacy new-key`."""

import click

from loyalty.members.secret import new_secret


@click.group()
def privacy() -> None:
    """Look after the encryption of personal data."""


@privacy.command("new-key")
def new_key() -> None:
    """Print a new secret for LOYALTY_SECRET_KEYS. It is kept nowhere: keep it safe, and apart from the database."""
    click.echo(new_secret())
