"""What each kind of job does."""

from datetime import datetime

from loyalty.engine.engine import Engine
from loyalty.engine.past_due import Counts, Progress
from loyalty.jobs.runner import Work
from loyalty.schedule import ScheduledKind


async def post_due(
    engine: Engine, kind: ScheduledKind, through: datetime | None, dry_run: bool, progress: Progress
) -> Counts:
    """Posts what is due up to `through` (None: now), or with `dry_run` counts it. Raises FutureTime."""
    post = {
        "expiry": engine.expire,
        "tier-review": engine.review_tiers,
        "hold-timeouts": engine.time_out_holds,
    }[kind]
    return await post(through, dry_run, progress)


def work_of(engine: Engine, kind: ScheduledKind, through: datetime | None, *, dry_run: bool) -> Work:
    """As `post_due`, for the runner."""
    return lambda note: post_due(engine, kind, through, dry_run, note.progressed)
