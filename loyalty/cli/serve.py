"""`loyalty serve`."""

import sys

import click

from loyalty.cli.session import DONE, note_a_new_ledger, settings_or_exit, told
from loyalty.settings import VARIABLES


class _ListsSettings(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's)
        with formatter.section("Settings, from the environment"):
            formatter.write_dl(
                [
                    (v.name, f"{v.meaning} [default: {v.default}]" if v.default else v.meaning)
                    for v in VARIABLES
                ]
            )


@click.command(cls=_ListsSettings)
def serve() -> None:
    """Migrate the database and start the server.

    Without LOYALTY_DATABASE_URL it runs on an embedded Postgres in ./.loyalty, which stops with it.
    """
    settings = settings_or_exit(quiet=False)
    from loyalty.api.serve import serve as start

    def work() -> int:
        if settings.database_url is None:
            note_a_new_ledger()
        start(settings)
        return DONE

    sys.exit(told(work, debug=settings.log_level == "debug"))
