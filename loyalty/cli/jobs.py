"""The two batch jobs, run from the command line with their progress shown."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import click

from loyalty.cli.progress import Reporter
from loyalty.cli.session import DONE

if TYPE_CHECKING:
    from loyalty.engine.engine import Engine

JobProgress = Callable[[float, dict[str, Any]], Awaitable[None]]
_STEPS = 1000


def show_job(
    title: str, job: Callable[["Engine", JobProgress], Awaitable[dict[str, Any]]], *, dry_run: bool
) -> Callable[[str], Coroutine[Any, Any, int]]:
    """A command that runs `job`, shows how far it is, and prints its counts, one a line."""

    async def work(url: str) -> int:
        from loyalty.engine.engine import Engine

        engine = await Engine.open(url)
        try:
            with Reporter(title) as report:

                async def progress(share: float, counts: dict[str, Any]) -> None:  # noqa: ARG001
                    report("done, in thousandths", round(share * _STEPS), _STEPS)

                counts = await job(engine, progress)
        finally:
            await engine.close()
        for name, value in counts.items():
            shown = f"{value:,}" if isinstance(value, int) else str(value)
            click.echo(f"{name.replace('_', ' '):<24} {shown:>16}")
        if dry_run:
            click.echo("Nothing was posted: this was a dry run.")
        return DONE

    return work
