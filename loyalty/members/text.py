"""What is checked of the things that people tell about themselves. Pure."""

import re
from datetime import date, datetime, timedelta

from loyalty.errors import FieldError

FIRST_BIRTHDAY = date(1880, 1, 1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_text(path: str, value: str | None, errors: list[FieldError]) -> None:
    """Refuse control characters in a text that people read."""
    if value is not None and not value.isprintable() and _CONTROL.search(value):
        errors.append(FieldError(path, "contains a control character; leave it out"))


def text_errors(
    now: datetime, *, name: str | None, channel: str | None, birthday: date | None
) -> list[FieldError]:
    """What is wrong with a person's data. A birthday lies between 1880 and tomorrow, somewhere today."""
    errors: list[FieldError] = []
    check_text("name", name, errors)
    check_text("channel", channel, errors)
    if birthday is not None and not FIRST_BIRTHDAY <= birthday <= now.date() + timedelta(days=1):
        errors.append(FieldError("birthday", f"lies outside {FIRST_BIRTHDAY} to today"))
    return errors
