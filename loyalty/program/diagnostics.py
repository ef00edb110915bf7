"""What is wrong with a program file, told so that whoever wrote it can mend it: line, key, value, and how.

A key is written as one would say it: `points.rounding`, `rules.member-day.when.weekday`. Rules and tiers go
by their id; one without a usable id of its own goes by its place, counted from 0: `rules[3].factor`.
"""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any, Literal

from msgspec import Struct

Path = tuple[str | int, ...]
"""Where a value stands in the file's tree: `("rules", 3, "when", "weekday", 0)`."""

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_LONGEST_QUOTE = 60


class Diagnostic(Struct, frozen=True):
    """One finding. `line` counts from 1 and is None where the file has no line for it."""

    severity: Literal["error", "warning"]
    line: int | None
    key: str
    message: str


class Report:
    """Collects findings on one file. `lines` says where each path stands; `names` which places have an id."""

    def __init__(
        self, lines: Mapping[Path, int] | None = None, names: Mapping[Path, str] | None = None
    ) -> None:
        self._lines = lines or {}
        self._names = names or {}
        self._found: list[Diagnostic] = []

    def error(self, path: Path, message: str) -> None:
        self._found.append(Diagnostic("error", self._line(path), self._key(path), message))

    def warning(self, path: Path, message: str) -> None:
        self._found.append(Diagnostic("warning", self._line(path), self._key(path), message))

    @property
    def failed(self) -> bool:
        return any(found.severity == "error" for found in self._found)

    def diagnostics(self) -> list[Diagnostic]:
        """All findings in the order of the file."""
        return sorted(self._found, key=lambda found: found.line or 0)

    def _line(self, path: Path) -> int | None:
        # A key that is missing has no line: its table's is the next best.
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def _key(self, path: Path) -> str:
        key = ""
        for end, part in enumerate(path, start=1):
            name = self._names.get(path[:end])
            if isinstance(part, int) and name is None:
                key += f"[{part}]"
                continue
            text = name if name is not None else str(part)
            key += ("." if key else "") + (text if _BARE.match(text) or name is not None else quote(text))
        return key


def quote(value: Any) -> str:
    """A value as the file would write it, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        text = "[" + ", ".join(quote(item) for item in value[:5]) + (", …]" if len(value) > 5 else "]")
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, date | datetime | time):
        text = value.isoformat()
    elif isinstance(value, int) and value.bit_length() > 256:
        # Python refuses to write out numbers of thousands of digits, which a hexadecimal one can have.
        text = "a number of more than 77 digits"
    else:
        text = "null" if value is None else str(value)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def nearest(word: str, known: tuple[str, ...]) -> str:
    """The hint for a misspelt word: the nearest one that is known, or all of them."""
    close = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "known here: " + ", ".join(known)
