"""The batch jobs, run from the command line with their progress shown, and kept in the history of jobs."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loyalty.cli.progress import Reporter
from loyalty.cli.session import DONE

if TYPE_CHECKING:
    from loyalty.engine.engine import Engine
    from loyalty.engine.past_due import Counts, Progress
    from loyalty.jobs.runner import Kind

_STEPS = 1000

Batch = Callable[["Engine", datetime, bool, "Progress"], Awaitable["Counts"]]
"""Does the work up to an instant, or with True only counts it."""
Show = Callable[["Engine", dict[str, int]], None]
"""Prints the counts of a job that is done."""


def show_counts(engine: "Engine", counts: dict[str, int]) -> None:  # noqa: ARG001 (a Show)
    """One count a line."""
    import click

    for name, value in counts.items():
        click.echo(f"{name.replace('_', ' '):<24} {value:>16,}")


def show_job(
    kind: "Kind", batch: Batch, through: datetime | None, dry_run: bool, show: Show = show_counts
) -> Callable[[str], Coroutine[Any, Any, int]]:
    """A command that runs a batch up to `through` (default: now), shows how far it is, and prints its counts."""

    async def work(url: str) -> int:
        import click

        from loyalty.engine.engine import Engine
        from loyalty.jobs.history import record_job

        engine = await Engine.open(url)
        try:
            until = through or await engine.now()
            begun = time.monotonic()
            with Reporter(kind) as report:

                async def progress(share: float, counts: dict[str, Any]) -> None:  # noqa: ARG001 (a Progress)
                    report("done, in thousandths", round(share * _STEPS), _STEPS)

                counts = await batch(engine, until, dry_run, progress)
            await record_job(engine.pool, kind, until, dry_run, counts, time.monotonic() - begun)
        finally:
            await engine.close()
        show(engine, counts)
        if dry_run:
            click.echo("Nothing was changed: this was a dry run.")
        return DONE

    return work
