"""The command `loyalty`. Each command lies in a file of its own, which is read only when it is called."""

import importlib
from typing import cast

import click

_COMMANDS = {
    "serve": ("loyalty.cli.serve:serve", "Migrate the database and start the server."),
    "demo": ("loyalty.cli.demo:demo", "Replay a real shop's year through a server, then leave it to try."),
    "migrate": ("loyalty.cli.migrate:migrate", "Bring the database to this version's shape."),
    "keys": ("loyalty.cli.keys:keys", "Make, list and revoke API keys."),
    "acts": ("loyalty.cli.acts:acts", "Show what was done by hand, and by whom."),
    "privacy": ("loyalty.cli.privacy:privacy", "Look after the encryption of personal data."),
    "program": ("loyalty.cli.program:program", "Check, apply and show the rule set."),
    "rewards": ("loyalty.cli.rewards:rewards", "Look after what members can have for points, and its stock."),
    "import": ("loyalty.cli.import_file:import_file", "Take in purchases, returns or members from a file."),
    "expire": ("loyalty.cli.expire:expire", "Post the points that are due to expire."),
    "review-tiers": ("loyalty.cli.review_tiers:review_tiers", "Renew or lower the tiers that are due."),
    "time-out-holds": (
        "loyalty.cli.time_out_holds:time_out_holds",
        "Give back the points of holds that have ended.",
    ),
    "archive": (
        "loyalty.cli.archive:archive",
        "Move the long texts of old postings to a table of their own.",
    ),
    "jobs": ("loyalty.cli.jobs:jobs", "List what ran and what runs."),
    "backtest": ("loyalty.cli.backtest:backtest", "Tell what another program would have cost."),
    "report": ("loyalty.cli.report:report", "What the points on the books are worth."),
    "audit": ("loyalty.cli.audit:audit", "Recompute everything from the entries and name what differs."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's)
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's)
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loyalty")
def main() -> None:
    """A loyalty points engine: an exact, auditable ledger of points with rules, tiers, redemptions and expiry.

    Settings come from the environment; `loyalty serve --help` lists them. Without LOYALTY_DATABASE_URL every
    command uses the embedded Postgres in ./.loyalty. Exit codes: 0 done, 1 something found or failed, 2 wrong
    call.
    """


if __name__ == "__main__":
    main()
