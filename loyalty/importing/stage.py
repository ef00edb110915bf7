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
create table fragment (kind integer, id text, original text, ref text, at integer, rows blob);
"""
_GATHER = """
create index fragment_unit on fragment (kind, id, original);
create table unit (kind integer, id text, original text, ref text, at integer, fragments integer, first integer,
    original_here integer, primary key (kind, id, original)) without rowid;
insert into unit select kind, id, original, min(ref), min(at), count(*), min(rowid), 0
    from fragment group by kind, id, original;
update unit set original_here = 1,
    at = max(coalesce(at, 0),
        coalesce((select p.at from unit p where p.kind = 0 and p.id = unit.original), 0))
    where kind = 1 and original <> ''
    and exists (select 1 from unit p where p.kind = 0 and p.id = unit.original);
create table owner (ref text primary key, account integer) without rowid;
create table owner_of_purchase (id text primary key, account integer) without rowid;
"""
_PLACE = """
create table place (place integer primary key, kind integer, id text, original text, fragments integer,
    first integer, original_here integer, owner integer);
insert into place (kind, id, original, fragments, first, original_here, owner)
    select u.kind, u.id, u.original, u.fragments, u.first, u.original_here, coalesce(r.account, o.account, 0)
    from unit u
    left join unit p on u.original_here and p.kind = 0 and p.id = u.original and p.original = ''
    left join owner o on o.ref = coalesce(p.ref, u.ref)
    left join owner_of_purchase r on u.kind = 1 and not u.original_here and r.id = u.original
    order by u.at, u.kind, u.id, u.original;
create index place_owner on place (owner);
"""
_TAKE = """
select u.kind, u.id, u.original, u.original_here, u.fragments, u.owner, f.rows
from place u cross join fragment f on f.rowid = u.first where u.place > ?
"""


class Unit(Struct, frozen=True):
    """Rows that are posted as one. `original_here`: the purchase that a return names is in this file too."""

    kind: int
    id: str
    original: str
    original_here: bool
    rows: list[Row]


class Parcel(Struct, frozen=True, array_like=True, gc=False):
    """A unit packed up, on its way to whoever posts it. `owner`: units of one account have the same; 0: nobody's."""

    kind: int
    id: str
    original: str
    original_here: bool
    owner: int
    fragments: list[bytes]

    def unpack(self) -> Unit:
        """The unit."""
        rows = _decode(self.fragments[0])
        for fragment in self.fragments[1:]:
            rows += _decode(fragment)
        return Unit(self.kind, self.id, self.original, self.original_here, rows)


_decode = msgspec.msgpack.Decoder(list[Row]).decode


class Stage:
    """Takes rows in any order, gives units in the order in which they are to be posted.

    That order is by time; at equal times purchases come first, and no return comes before its purchase. Call `add`,
    `gather`, `own` for whom it is known of, `put_in_order`, `take`.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._db = sqlite3.connect("", check_same_thread=False)
        self._db.executescript(
            "pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -65536;"
        )
        self._db.executescript(_TABLES)
        self._pending: list[tuple[int, str, str, str, int | None, bytes]] = []
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
        ref: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Stage `rows`. The other arguments are places in a row; `kind` None: it stands at `kind_at`."""
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
                    self._put(current, run, at, ref)
                current, run = mine, []
            run.append(row)
            self.rows += 1
            if progress is not None and self.rows % _ROWS_A_REPORT == 0:
                progress(self.rows)
        if current is not None:
            self._put(current, run, at, ref)
        self._flush()

    def gather(self) -> None:
        """Make units of the rows; call once, after the last row."""
        self._db.executescript(_GATHER)
        self.units, self.documents = self._db.execute(
            "select count(*), (select count(*) from (select distinct kind, id from unit)) from unit"
        ).fetchone()

    def refs(self) -> Iterator[str]:
        """Each name that the units give their members."""
        return (ref for (ref,) in self._db.execute("select distinct ref from unit where kind <> 2"))

    def purchases_elsewhere(self) -> Iterator[str]:
        """The purchases that returns name and that are not in the file."""
        return (id for (id,) in self._db.execute(
            "select distinct original from unit where kind = 1 and original <> '' and not original_here"
        ))  # fmt: skip

    def own(self, accounts: Iterable[tuple[str, int]]) -> None:
        """Say whose the units of each `ref` are: an account, or any number that stands for one to come."""
        self._db.executemany("insert into owner values (?, ?)", accounts)

    def own_purchases(self, accounts: Iterable[tuple[str, int]]) -> None:
        """Say whose account purchases went to that are not in the file."""
        self._db.executemany("insert into owner_of_purchase values (?, ?)", accounts)

    def put_in_order(self) -> None:
        """Call once, when it is known whose the units are."""
        self._db.executescript(_PLACE)

    def owners(self) -> int:
        """How many accounts the units are of."""
        found: int = self._db.execute("select count(distinct owner) from place").fetchone()[0]
        return found

    def returns(self) -> bool:
        """Whether there are any."""
        return self._db.execute("select 1 from unit where kind = 1 limit 1").fetchone() is not None

    def take(self, after: int = 0, *, by_owner: bool = False) -> Iterator[Parcel]:
        """The units in their order, but for the first `after`; by_owner: all of one owner together."""
        order = " order by u.owner, u.place" if by_owner else " order by u.place"
        for kind, id, original, here, fragments, owner, first in self._db.execute(_TAKE + order, (after,)):
            rows = [first]
            if fragments > 1:
                rows = [one for (one,) in self._db.execute(
                    "select rows from fragment where kind = ? and id = ? and original = ? order by rowid",
                    (kind, id, original),
                )]  # fmt: skip
            yield Parcel(kind, id, original, bool(here), owner, rows)

    def _put(self, unit: tuple[int, str, str], run: list[Row], at: int, ref: int) -> None:
        earliest = None if unit[0] == MEMBER else self._earliest(run, at)
        self._pending.append((*unit, run[0][ref], earliest, msgspec.msgpack.encode(run)))
        if len(self._pending) >= _FRAGMENTS_AT_ONCE:
            self._flush()

    def _earliest(self, run: list[Row], at: int) -> int | None:
        earliest: int | None = None
        for text in {row[at] for row in run}:
            instant = read_instant(text, self._zone)
            if instant is not None:
                value = (instant - _EPOCH) // _MICROSECOND
                earliest = value if earliest is None else min(earliest, value)
        return earliest

    def _flush(self) -> None:
        self._db.executemany("insert into fragment values (?, ?, ?, ?, ?, ?)", self._pending)
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
