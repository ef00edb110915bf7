"""The server's figures for Prometheus: requests by route and status, and how long they took."""

import os
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_requests = Counter("loyalty_http_requests", "HTTP requests answered", ["method", "route", "status"])
_seconds = Histogram("loyalty_http_request_seconds", "Time to answer", ["method", "route"], buckets=BUCKETS)


@cache
def _children(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    # Finding a child by its labels costs more than counting.
    return _requests.labels(method, route, str(status)), _seconds.labels(method, route)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request. `route` is the template, so that no id becomes a label."""
    counter, histogram = _children(method, route, status)
    counter.inc()
    histogram.observe(seconds)


def exposition() -> tuple[bytes, str]:
    """All figures as text, of all worker processes, and its media type."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
