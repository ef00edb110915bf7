"""What each kind of job that servers run by themselves does."""

from datetime import datetime

from loyalty.engine.engine import Engine
from loyalty.jobs.runner import Work
from loyalty.schedule import ScheduledKind


def work_of(engine: Engine, kind: ScheduledKind, through: datetime | None, *, dry_run: bool) -> Work:
    """Posts what is due up to `through` (None: now), or with `dry_run` counts it. It raises FutureTime."""
    post = {
        "expiry": engine.expire,
        "tier-review": engine.review_tiers,
        "hold-timeouts": engine.time_out_holds,
    }[kind]
    return lambda note: post(through, dry_run, note.progressed)
