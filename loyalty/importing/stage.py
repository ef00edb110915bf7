"""Scattered rows gathered into units and put in order, in a temporary SQLite file: memory stays bounded.

A unit is what is posted as one: the rows of one purchase, the rows of one return that name the same purchase,
or the rows of one member. Rows that stand together in the file are staged together: a tidy file costs one
insert a unit.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec
from msgspec import Struct

from loyalty.importing.source import Row

PURCHASE, RETURN, MEMBER = 0, 1, 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FRAGMENTS_AT_ONCE = 500
_ROWS_A_REPORT = 50_000

_TABLES = """
create table fragment (kind integer, id text, original text, at integer, rows blob);
"""
_GATHER = """
create index fragment_unit on fragment (kind, id, original);
create table unit (kind integer, id text, original text, at integer, fragments integer, original_here integer,
    primary key (kind, id, original)) without rowid;
insert into unit select kind, id, original, min(at), count(*), 0 from fragment group by kind, id, original;
update unit set original_here = 1,
    at = max(coalesce(at, 0),
        coalesce((select p.at from unit p where p.kind = 0 and p.id = unit.original), 0))
    where kind = 1 and original <> ''
    and exists (select 1 from unit p where p.kind = 0 and p.id = unit.original);
"""


class Unit(Struct, frozen=True):
    """Rows that are posted as one. `original_here`: the purchase that a return names is in this file too."""

    kind: int
    id: str
    original: str
    original_here: bool
    rows: list[Row]


class Stage:
    """Takes rows in any order, gives units in the order in which they are to be posted.

    That order is by time; at equal times purchases come first, and no return comes before its purchase.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._db = sqlite3.connect("", check_same_thread=False)
        self._db.executescript(
            "pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -65536;"
        )
        self._db.executescript(_TABLES)
        self._pending: list[tuple[int, str, str, int | None, bytes]] = []
        self.rows = 0
        self.units = 0
        self.documents = 0

    def add(
        self,
        rows: Iterable[Row],
        *,
        kind: int | None,
        key: int,
        kind_at: int = 0,
        at: int = 0,
        original: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Stage `rows`. The other arguments are places in a row; `kind` None: it stands at `kind_at`."""
        encode = msgspec.msgpack.encode
        run: list[Row] = []
        current: tuple[int, str, str] | None = None
        for row in rows:
            if kind is None:
                row_kind = RETURN if row[kind_at] in ("return", "Return", "RETURN") else PURCHASE
                mine = (row_kind, row[key], row[original] if row_kind else "")
            else:
                mine = (kind, row[key], "")
            if mine != current:
                if current is not None:
                    self._put((*current, self._earliest(run, at) if kind is None else None, encode(run)))
                current, run = mine, []
            run.append(row)
            self.rows += 1
            if progress is not None and self.rows % _ROWS_A_REPORT == 0:
                progress(self.rows)
        if current is not None:
            self._put((*current, self._earliest(run, at) if kind is None else None, encode(run)))
        self._flush()

    def gather(self) -> None:
        """Put the units in order; call once, after the last row."""
        self._db.executescript(_GATHER)
        self.units, self.documents = self._db.execute(
            "select count(*), (select count(*) from (select distinct kind, id from unit)) from unit"
        ).fetchone()

    def take(self) -> Iterator[Unit]:
        """The units in their order."""
        decode = msgspec.msgpack.Decoder(list[Row]).decode
        found = self._db.execute(
            """select u.kind, u.id, u.original, u.original_here, u.fragments, f.rows from unit u
            join fragment f on f.kind = u.kind and f.id = u.id and f.original = u.original
            order by u.at, u.kind, u.id, u.original, f.rowid"""
        )
        for kind, unit_id, original, here, fragments, blob in found:
            rows = decode(blob)
            for _ in range(fragments - 1):
                rows += decode(next(found)[5])
            yield Unit(kind, unit_id, original, bool(here), rows)

    def _earliest(self, run: list[Row], at: int) -> int | None:
        earliest: int | None = None
        for text in {row[at] for row in run}:
            instant = read_instant(text, self._zone)
            if instant is not None:
                value = (instant - _EPOCH) // _MICROSECOND
                earliest = value if earliest is None else min(earliest, value)
        return earliest

    def _put(self, fragment: tuple[int, str, str, int | None, bytes]) -> None:
        self._pending.append(fragment)
        if len(self._pending) >= _FRAGMENTS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._db.executemany("insert into fragment values (?, ?, ?, ?, ?)", self._pending)
        self._pending.clear()


def read_instant(text: str, zone: tzinfo | None) -> datetime | None:
    """An instant with its offset, or with `zone`'s where it carries none; None when it is neither.

    A doubled local time means the earlier one, a skipped one moves forward.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    if instant.tzinfo is None:
        return None if zone is None else instant.replace(tzinfo=zone).astimezone(UTC)
    return instant
