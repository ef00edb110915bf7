"""OpenTelemetry traces, when an endpoint is set: a span for each request, and for its batch, lock, post and commit.

Without OTEL_EXPORTER_OTLP_ENDPOINT no span is made and neither the SDK nor the exporter is imported. The exporter and
its settings are OpenTelemetry's own. No span holds personal data: the route stands for the path.
"""

import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from loyalty.steps import Listeners, StepSpan

if TYPE_CHECKING:
    from opentelemetry.trace import Span

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FLUSH_SECONDS = 3.0
"""How long a stopping server waits for its last spans to be sent."""

log = structlog.get_logger()


class Traces:
    """The spans of one process. Made by `open_traces`; close it."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.propagate import extract
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, StatusCode

        named = "OTEL_SERVICE_NAME" in os.environ
        resource = Resource.create({} if named else {"service.name": "loyalty"})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("loyalty")
        self._extract = extract
        self._server_side = SpanKind.SERVER
        self._failed = StatusCode.ERROR
        Listeners.traced = self._step

    def _step(self, name: str, facts: dict[str, int]) -> StepSpan:
        return self._span(name, attributes=dict(facts))

    @contextmanager
    def _span(self, name: str, **options: Any) -> Iterator["Span"]:
        """A span that tells of an error its kind alone: what the SDK would record of it holds the message."""
        with self._tracer.start_as_current_span(
            name, record_exception=False, set_status_on_exception=False, **options
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_status(self._failed)
                span.set_attribute("error.type", type(error).__name__)
                raise

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application with a span for each request, child of the caller's if it sent a `traceparent`."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            parent = self._extract(headers)
            with self._span("request", context=parent, kind=self._server_side) as span:

                async def answered(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                    await send(message)

                try:
                    await app(scope, receive, answered)
                finally:
                    method, route = str(scope.get("method", "")), str(scope.get("path_template") or "-")
                    span.update_name(f"{method} {route}")
                    span.set_attributes(
                        {
                            "http.request.method": method,
                            "http.route": route,
                            "loyalty.request_id": str(scope.get("request_id", "")),
                        }
                    )

        return traced

    def close(self) -> None:
        """Send what is left, as far as the receiver takes it in time."""
        Listeners.traced = None
        flushing: Any = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)


def open_traces() -> Traces | None:
    """Traces if an endpoint is set; without the extra that they need a warning says how to get it."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    if importlib.util.find_spec("opentelemetry") is None:
        log.warning("traces_off", reason="pip install 'loyalty[traces]' brings what they need")
        return None
    return Traces()
