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
from loyalty.program.key_types import MOST_DECIMALS, Choice, Key, Number, Some, TableOf, TablesOf, Text, Whole

Known = TypeVar("Known", bound=Key)
Value = TypeVar("Value")

_MISSING = object()
_MONTH_DAY = re.compile(r"([0-9]{2})-([0-9]{2})\Z")
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Table:
    """One table of the file, read by what `shape` says of its keys. Others are reported at once."""

    def __init__(self, data: Mapping[str, Any], path: Path, report: Report, shape: TableOf) -> None:
        self.path = path
        self.report = report
        self.shape = shape
        self._data = data
        for key in data:
            if key not in shape.keys:
                report.error((*path, key), f"unknown key {quote(key)}: {nearest(key, tuple(shape.keys))}")

    def has(self, key: str) -> bool:
        return key in self._data

    def error(self, key: str, message: str) -> None:
        self.report.error((*self.path, key), message)

    def warning(self, key: str, message: str) -> None:
        self.report.warning((*self.path, key), message)

    def missing(self, key: str, example: str) -> None:
        self.error(key, f"{key} is missing: add {example}")

    def has_some(self) -> bool:
        """Whether any of the keys is there of which the table must have one."""
        return any(key in self._data for key in self.shape.some_of)

    def text(self, key: str) -> str | None:
        """A string of the key's shape."""
        known = self._known(key, Text)
        value = self._data.get(key, _MISSING)
        return None if value is _MISSING else self._text((*self.path, key), value, known)

    def choice(self, key: str) -> Any:
        """One of the key's words; its default if there is none, or none that is known."""
        known = self._known(key, Choice)
        value = self._data.get(key, _MISSING)
        return known.default if value is _MISSING else self._option((*self.path, key), value, known)

    def flag(self, key: str) -> bool | None:
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if not isinstance(value, bool):
            self.error(key, f"{quote(value)} is neither true nor false (without quotes)")
            return None
        return value

    def whole(self, key: str) -> int | None:
        """A whole number in the key's range."""
        known = self._known(key, Whole)
        value = self._data.get(key, _MISSING)
        return None if value is _MISSING else self._whole((*self.path, key), value, known)

    def whole_or_default(self, key: str) -> int:
        """As `whole`; the key's default if there is none, or none that is in range."""
        found = self.whole(key)
        return int(self.shape.keys[key].default) if found is None else found

    def number(self, key: str) -> Fraction | None:
        """An exact number in the key's range."""
        known = self._known(key, Number)
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.error(key, f"{quote(value)} is not a number (write it without quotes)")
            return None
        if isinstance(value, Decimal):
            # Asked before any arithmetic: 1e999999999 is short to write and endless to compute with.
            exponent = value.as_tuple().exponent
            if not isinstance(exponent, int) or exponent < -MOST_DECIMALS or value.adjusted() > 20:
                self.error(key, f"{quote(value)} has more than {MOST_DECIMALS} decimals or is out of range")
                return None
        exact = Fraction(value)
        if not known.low <= exact <= known.high or (known.above and exact == known.low):
            bound = "above" if known.above else "at least"
            self.error(key, f"{quote(value)} must be {bound} {known.low} and at most {known.high}")
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
        if isinstance(value, str) and re.fullmatch(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?", value):
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

    def table(self, key: str) -> "Table | None":
        known = self._known(key, TableOf)
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            return None
        if not isinstance(value, dict):
            self.error(key, f"{quote(value)} is not a table: write {key} = {{ … }} or [{key}]")
            return None
        return Table(value, (*self.path, key), self.report, known)

    def tables(self, key: str) -> "list[Table]":
        known = self._known(key, TablesOf).each
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

    def names(self, key: str) -> frozenset[str] | None:
        """A list of strings of the key's shape."""
        item = self._item(key, Text)
        return self._each(key, lambda path, value: self._text(path, value, item))

    def words(self, key: str) -> frozenset[int] | None:
        """A list of words, as their places among the key's."""
        item = self._item(key, Choice)
        known = item.options

        def read(path: Path, value: Any) -> int | None:
            found = self._option(path, value, item)
            return None if found is None else known.index(found)

        return self._each(key, read)

    def wholes(self, key: str) -> frozenset[int] | None:
        item = self._item(key, Whole)
        return self._each(key, lambda path, value: self._whole(path, value, item))

    def month_days(self, key: str) -> frozenset[tuple[int, int]] | None:
        return self._each(key, self._month_day)

    def _known(self, key: str, kind: type[Known]) -> Known:
        known = self.shape.keys[key]
        assert isinstance(known, kind), f"{key} is read as {kind.__name__}, which it is not"
        return known

    def _item(self, key: str, kind: type[Known]) -> Known:
        item = self._known(key, Some).item
        assert isinstance(item, kind), f"{key} is read as {kind.__name__}, which it is not"
        return item

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

    def _text(self, path: Path, value: Any, known: Text) -> str | None:
        if isinstance(value, str) and known.pattern.match(value):
            return value
        self.report.error(path, f"{quote(value)} is not {known.shape}")
        return None

    def _item_text(self, path: Path, value: Any) -> str | None:
        if isinstance(value, str) and 0 < len(value) <= 128:
            return value
        self.report.error(path, f"{quote(value)} is not a string of 1 to 128 characters")
        return None

    def _option(self, path: Path, value: Any, known: Choice) -> Any:
        for option in known.options:
            if value == option:
                return option
        hint = (
            nearest(value, known.options) if isinstance(value, str) else "one of " + ", ".join(known.options)
        )
        self.report.error(path, f"{quote(value)} is not known: {hint}")
        return known.default

    def _whole(self, path: Path, value: Any, known: Whole) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            self.report.error(path, f"{quote(value)} is not a whole number (without quotes or decimals)")
            return None
        if not known.low <= value <= known.high:
            self.report.error(path, f"{quote(value)} must be from {known.low} to {known.high}")
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
