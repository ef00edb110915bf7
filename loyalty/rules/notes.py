"""The notes that an explanation may carry, and their reading again when it is put into words.

They stand in receipts for ever, so they are read as they were written then; what people see lies in `texts/`.
"""

import re
from typing import NamedTuple

_LIMITED = re.compile(r"limited by (\w+): (\S+) wanted, (\d+) given\Z")


class Limited(NamedTuple):
    """A rule gave less than it asked for: by which limit, `wanted` exactly, `given` in whole points."""

    by: str
    wanted: str
    given: str


def limited(by: str, wanted: str, given: int) -> str:
    """A rule gave less than it asked for: `wanted` is exact, `given` whole points."""
    return f"limited by {by}: {wanted} wanted, {given} given"


def read_limited(note: str) -> Limited | None:
    """What `limited` wrote; None for any other note."""
    found = _LIMITED.match(note)
    return Limited(*found.groups()) if found else None
