"""What a key of a program file can be: a word, a number, a day, a table of keys, a list of them."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

MOST_DECIMALS = 9
"""Digits after the point of a number with a fraction."""


class Key(Struct, frozen=True, kw_only=True):
    """One key. `says` is for people; `default` is what leaving it out means, None where there is no such value."""

    says: str
    default: Any = None
    required: bool = False


class Text(Key, frozen=True, kw_only=True):
    """A string. `shape` says in words what `pattern` asks for."""

    pattern: re.Pattern[str]
    shape: str


class Zone(Key, frozen=True, kw_only=True):
    """The name of an IANA time zone."""


class Choice(Key, frozen=True, kw_only=True):
    """One of a few words."""

    options: tuple[str, ...]


class Flag(Key, frozen=True, kw_only=True):
    """True or false."""


class Whole(Key, frozen=True, kw_only=True):
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int


class Number(Key, frozen=True, kw_only=True):
    """An exact number from `low` (with `above`: not `low` itself) to `high`."""

    low: int
    high: int
    above: bool = False


class Day(Key, frozen=True, kw_only=True):
    """A local day."""


class WallTime(Key, frozen=True, kw_only=True):
    """A local time of day."""


class MonthDay(Key, frozen=True, kw_only=True):
    """A day of every year, "12-31"."""


class Some(Key, frozen=True, kw_only=True):
    """One or several of `item`: one alone needs no brackets."""

    item: Key


class Name(Key, frozen=True, kw_only=True):
    """A string of 1 to 128 characters, such as a SKU."""


class Kind(Struct, frozen=True):
    """What belongs to one `kind` of a table.

    needs: keys that must be there, each with an example. may: keys that are its own but may be left out.
    one_of: exactly one of these. without: by the key of a table inside it, keys that mean nothing there.
    """

    needs: Mapping[str, str] = {}
    may: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    without: Mapping[str, tuple[str, ...]] = {}

    @property
    def own(self) -> frozenset[str]:
        return frozenset((*self.needs, *self.may, *self.one_of))


class TableOf(Key, frozen=True, kw_only=True):
    """A table with these keys and no others.

    some_of: at least one of these must be there. kinds: what belongs to which value of `kind`.
    """

    keys: Mapping[str, Key]
    some_of: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = {}


class TablesOf(Key, frozen=True, kw_only=True):
    """A list of tables, each begun with `[[…]]`."""

    each: TableOf
