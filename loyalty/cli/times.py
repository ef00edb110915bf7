"""Times on the command line: RFC 3339 with an offset, as everywhere."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click


def instant(text: str) -> datetime:
    """A parameter that must be a time with its offset."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time. Write it like 2026-03-01T00:00:00+08:00.") from None
    if value.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no offset. Write it like 2026-03-01T00:00:00+08:00.")
    return value


def zone(text: str) -> ZoneInfo:
    """A parameter that must be the name of a time zone."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"{text!r} is no time zone. Write it like Asia/Shanghai.") from None
