"""Reads typed values out of a program's raw tree and reports every one that is not as it should be.

Nothing here raises: what cannot be read is reported and comes back as None or as the default, so that all
mistakes of a file are found in one go.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from loyalty.program.diagnostics import Path, Report, nearest, quote

Word = TypeVar("Word", bound=str)
Value = TypeVar("Value")

_MISSING = object()
_MOST_DECIMALS = 9
_MONTH_DAY = re.compile(r"([0-9]{2})-([0-9]{2})\Z")
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Table:
    """One table of the file. Keys that are not `known` are reported at once."""

    def __init__(self, data: Mapping[str, Any], path: Path, report: Report, known: tuple[str, ...]) -> None:
        self.path = path
        self.report = report
        self._data = data
        for key in data:
            if key not in known:
                report.error((*path, key), f"unknown key {quote(key)}: {nearest(key, known)}")

    def has(self, key: str) -> bool:
        return key in self._data

    def error(self, key: str, message: str) -> None:
        self.report.error((*self.path, key), message)

    def warning(self, key: str, message: str) -> None:
        self.report.warning((*self.path, key), message)

    def missing(self, key: str, example: str) -> None:
        self.error(key, f"{key} is missing: add {example}")

    def text(self, key: str, pattern: re.Pattern[str], shape: str) -> str | None:
        """A string that `pattern` matches; `shape` says in words what is wanted."""
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if not isinstance(value, str) or not pattern.match(value):
            self.error(key, f"{quote(value)} is not {shape}")
            return None
        return value

    def choice(self, key: str, options: tuple[Word, ...], default: Word) -> Word:
        """One of a few words."""
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return default
        for option in options:
            if value == option:
                return option
        hint = nearest(value, options) if isinstance(value, str) else "one of " + ", ".join(options)
        self.error(key, f"{quote(value)} is not known: {hint}")
        return default

    def flag(self, key: str) -> bool | None:
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if not isinstance(value, bool):
            self.error(key, f"{quote(value)} is neither true nor false (without quotes)")
            return None
        return value

    def whole(self, key: str, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`, both included."""
        value = self._data.get(key, _MISSING)
        return None if value is _MISSING else self._whole((*self.path, key), value, low, high)

    def number(self, key: str, low: Fraction | int, high: int, above: bool = False) -> Fraction | None:
        """An exact number from `low` (with `above`: not `low` itself) to `high`."""
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.error(key, f"{quote(value)} is not a number (write it without quotes)")
            return None
        if isinstance(value, Decimal):
            # Asked before any arithmetic: 1e999999999 is short to write and endless to compute with.
            exponent = value.as_tuple().exponent
            if not isinstance(exponent, int) or exponent < -_MOST_DECIMALS or value.adjusted() > 20:
                self.error(key, f"{quote(value)} has more than {_MOST_DECIMALS} decimals or is out of range")
                return None
        exact = Fraction(value)
        if exact < low or exact > high or (above and exact == low):
            bound = "above" if above else "at least"
            self.error(key, f"{quote(value)} must be {bound} {low} and at most {high}")
            return None
        return exact

    def raw(self, key: str) -> Any:
        """The value as the file has it, None when absent."""
        return self._data.get(key)

    def day(self, key: str) -> date | None:
        """A local day: a TOML date or the same as a string."""
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        self.error(key, f"{quote(value)} is not a day: write it as 2026-11-01")
        return None

    def wall_time(self, key: str) -> time | None:
        """A local time of day: a TOML time or `"18:00"`."""
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", value):
            try:
                return time.fromisoformat(value)
            except ValueError:
                pass
        if isinstance(value, time):
            return value
        self.error(key, f'{quote(value)} is not a time of day: write it as "18:00"')
        return None

    def month_day(self, key: str) -> tuple[int, int] | None:
        value = self._data.get(key, _MISSING)
        return None if value is _MISSING else self._month_day((*self.path, key), value)

    def table(self, key: str, known: tuple[str, ...]) -> "Table | None":
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if not isinstance(value, dict):
            self.error(key, f"{quote(value)} is not a table: write {key} = {{ … }} or [{key}]")
            return None
        return Table(value, (*self.path, key), self.report, known)

    def tables(self, key: str, known: tuple[str, ...]) -> "list[Table]":
        value = self._data.get(key, [])
        if not isinstance(value, list):
            self.error(key, f"{quote(value)} is not a list of tables: begin each with [[{key}]]")
            return []
        found: list[Table] = []
        for index, item in enumerate(value):
            path = (*self.path, key, index)
            if isinstance(item, dict):
                found.append(Table(item, path, self.report, known))
            else:
                self.report.error(path, f"{quote(item)} is not a table: begin it with [[{key}]]")
        return found

    def texts(self, key: str) -> frozenset[str] | None:
        """A list of strings; one string alone stands for a list of one."""
        return self._each(key, self._item_text)

    def words(self, key: str, options: tuple[str, ...]) -> frozenset[int] | None:
        """A list of words, as their places in `options`."""

        def read(path: Path, value: Any) -> int | None:
            if isinstance(value, str) and value in options:
                return options.index(value)
            hint = nearest(value, options) if isinstance(value, str) else "one of " + ", ".join(options)
            self.report.error(path, f"{quote(value)} is not known: {hint}")
            return None

        return self._each(key, read)

    def wholes(self, key: str, low: int, high: int) -> frozenset[int] | None:
        return self._each(key, lambda path, value: self._whole(path, value, low, high))

    def month_days(self, key: str) -> frozenset[tuple[int, int]] | None:
        return self._each(key, self._month_day)

    def _each(self, key: str, read: Callable[[Path, Any], Value | None]) -> frozenset[Value] | None:
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        items = value if isinstance(value, list) else [value]
        if not items:
            self.error(key, f"{key} = [] matches nothing: list at least one, or leave {key} out")
        path = (*self.path, key)
        read_items = [read((*path, n) if value is items else path, item) for n, item in enumerate(items)]
        return frozenset(item for item in read_items if item is not None)

    def _item_text(self, path: Path, value: Any) -> str | None:
        if isinstance(value, str) and 0 < len(value) <= 128:
            return value
        self.report.error(path, f"{quote(value)} is not a string of 1 to 128 characters")
        return None

    def _whole(self, path: Path, value: Any, low: int, high: int) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            self.report.error(path, f"{quote(value)} is not a whole number (without quotes or decimals)")
            return None
        if not low <= value <= high:
            self.report.error(path, f"{quote(value)} must be from {low} to {high}")
            return None
        return value

    def _month_day(self, path: Path, value: Any) -> tuple[int, int] | None:
        found = _MONTH_DAY.match(value) if isinstance(value, str) else None
        if found:
            month, day = int(found[1]), int(found[2])
            if 1 <= month <= 12 and 1 <= day <= _DAYS_IN_MONTH[month - 1]:
                return month, day
        self.report.error(path, f'{quote(value)} is not a day of the year: write it as "11-30" (month-day)')
        return None
