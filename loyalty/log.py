"""Logging: events in the past tense with ids as fields, to stderr, as lines for people or as JSON for
machines.

Names and contacts of members are never logged; ids are.
"""

import logging
import sys

import msgspec
import structlog

from loyalty.settings import LogFormat, LogLevel

_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


def set_up_logging(level: LogLevel = "info", form: LogFormat = "auto") -> None:
    """Set up structlog, and send what libraries log with the standard module the same way. May be called
    again.

    Args:
        level: the least that is shown.
        form: `auto` is console when stderr is a terminal, else json.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    rendering: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if console:
        rendering.append(
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        )
    else:
        rendering += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=rendering, foreign_pre_chain=_SHARED))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "litestar"):
        library = logging.getLogger(name)
        library.handlers.clear()
        # uvicorn asks whether anybody hears its access log before it gathers a line of it for every request.
        library.propagate = name != "uvicorn.access"


def _json(event: object, **_unused: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
