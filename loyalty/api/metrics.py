"""The server's figures for Prometheus: requests, batches, steps, queue, pool, what is overdue, jobs.

With several workers each writes its own into a folder that they share, and whichever is asked tells the sum of all.
"""

import asyncio
import os
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from loyalty.db.connect import FAILURES
from loyalty.db.sql import query
from loyalty.engine.engine import Engine
from loyalty.steps import Listeners

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 250)
GAUGE_SECONDS = 1.0
LEDGER_SECONDS = 10.0
"""Between two looks at what is overdue and at the jobs."""

_requests = Counter("loyalty_http_requests", "HTTP requests answered", ["method", "route", "status"])
_seconds = Histogram("loyalty_http_request_seconds", "Time to answer", ["method", "route"], buckets=BUCKETS)
_steps = Histogram(
    "loyalty_step_seconds", "Time of a batch's steps: batch, lock, post, commit", ["step"], buckets=BUCKETS
)
_batch = Histogram("loyalty_batch_requests", "Requests posted together", buckets=SIZES)
_queue = Gauge("loyalty_queue_requests", "Requests that wait for a batch", multiprocess_mode="livesum")
_pool_size = Gauge("loyalty_pool_connections", "Connections to the database", multiprocess_mode="livesum")
_pool_idle = Gauge(
    "loyalty_pool_idle_connections", "Connections that nobody uses", multiprocess_mode="livesum"
)
_overdue = Gauge(
    "loyalty_overdue_seconds",
    "How long the oldest thing due (expiry, hold, tier verdict) waits to be posted",
    multiprocess_mode="livemax",
)
_jobs = Gauge("loyalty_jobs", "Jobs begun in the last day", ["kind", "status"], multiprocess_mode="livemax")
_job_done = Gauge(
    "loyalty_job_done_timestamp_seconds", "When a job of the kind was last done", ["kind"],
    multiprocess_mode="livemax",
)  # fmt: skip
_JOB_STATES = ("queued", "running", "done", "failed")


@cache
def _children(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    # Finding a child by its labels costs more than counting.
    return _requests.labels(method, route, str(status)), _seconds.labels(method, route)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request. `route` is the template, so that no id becomes a label."""
    counter, histogram = _children(method, route, status)
    counter.inc()
    histogram.observe(seconds)


@cache
def _step(name: str) -> Histogram:
    return _steps.labels(name)


def _heard(name: str, seconds: float, facts: dict[str, int]) -> None:
    _step(name).observe(seconds)
    if name == "batch":
        _batch.observe(facts["requests"])


async def keep_figures(engine: Engine) -> None:
    """Listen to the engine, and look now and then at what only can be looked at, for ever."""
    Listeners.heard = _heard
    rounds = 0
    while True:
        _queue.set(engine.batcher.waiting)
        _pool_size.set(engine.pool.get_size())
        _pool_idle.set(engine.pool.get_idle_size())
        if rounds % round(LEDGER_SECONDS / GAUGE_SECONDS) == 0:
            await _look_at_ledger(engine)
        rounds += 1
        await asyncio.sleep(GAUGE_SECONDS)


async def _look_at_ledger(engine: Engine) -> None:
    try:
        _overdue.set(await engine.pool.fetchval(query("overdue")))
        rows = await engine.pool.fetch(query("job_figures"))
    except FAILURES:
        return  # readiness tells that the database is away; the figures stay as they were
    for row in rows:
        for status in _JOB_STATES:
            _jobs.labels(row["kind"], status).set(row[status])
        if row["done_at"] is not None:
            _job_done.labels(row["kind"]).set(row["done_at"].timestamp())


def exposition() -> tuple[bytes, str]:
    """All figures as text, of all worker processes, and its media type."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client gives no types for it
    return generate_latest(registry), CONTENT_TYPE_LATEST
