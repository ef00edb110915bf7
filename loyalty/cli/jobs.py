"""`loyalty jobs`."""

from typing import Any, get_args

import click
import msgspec

from loyalty.cli.session import DONE, run
from loyalty.jobs.runner import Kind


@click.command()
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only jobs of this kind.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def jobs(kind: Kind | None, limit: int, as_json: bool) -> None:
    """List what ran and what runs, newest first: expiry, tier reviews, time-outs of holds, backtests, archives."""

    async def work(url: str) -> int:
        from loyalty.db.connect import open_pool
        from loyalty.jobs.history import recent_jobs

        async with await open_pool(url, size=1) as pool:
            found, _ = await recent_jobs(pool, kind, None, limit)
        for job in found:
            click.echo(msgspec.json.encode(job).decode() if as_json else _line(job))
        return DONE

    run(work)


def _line(job: dict[str, Any]) -> str:
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in job["counts"].items())
    by = "dry run" if job["dry_run"] else "schedule" if job["slot"] is not None else "by hand"
    state = job["status"] if job["status"] != "running" else f"running {job['progress']:.0%}"
    told = job.get("detail") or counts
    return f"{job['created_at']:%Y-%m-%d %H:%M:%SZ}  {job['kind']:<13}  {by:<8}  {state:<12}  {told}"
