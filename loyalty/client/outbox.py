"""Store and forward, for tills that may be offline: what was put in survives a crash and is uploaded in order."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from loyalty.client.client import Client, Unreachable
from loyalty.client.refusal import refusal
from loyalty.client.upload import Item, Kind, Uploaded, encode_item, name_of
from loyalty.engine.answers import Receipt, ReturnReceipt
from loyalty.errors import IdConflict, Internal, LoyaltyError, Overloaded, RateLimited, TooLarge

PASSING = (Overloaded, RateLimited, Internal)
"""Refusals that a later try may mend."""
ITEM_BYTES = 1_000_000
"""The longest item that is kept: no longer one is ever taken in."""
UPLOAD_BYTES = 4_000_000
"""What is uploaded at once, beside one item: well below what the server takes, and soon sent over a thin line."""

_WHAT_TO_DO = {
    sqlite3.SQLITE_READONLY: "See that this user may write the file and the folder that it is in.",
    sqlite3.SQLITE_CANTOPEN: "See that the folder is there and that this user may write in it.",
    sqlite3.SQLITE_FULL: "Make room on the disk, then put the item again.",
    sqlite3.SQLITE_BUSY: "Another process keeps the file locked. Try again, or end that process.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged.",
    sqlite3.SQLITE_NOTADB: "The file is damaged, or not an outbox.",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SAVE = (
    " Move it away and keep it: `sqlite3 FILE .recover` reads what can be saved. A new file begins empty; put"
    " again what may be lost, with the same ids: what the server has already counts once."
)

_TABLES = (
    """create table if not exists waiting (
        place integer primary key autoincrement,
        kind text not null, id text not null, body blob not null,
        unique (kind, id)
    ) strict""",
    """create table if not exists refused (
        place integer primary key,
        kind text not null, id text not null, body blob not null, problem blob not null
    ) strict""",
)


class Refusal(Struct, frozen=True):
    """An item that the server refused for good, and why: somebody has to look at it. `body` is what was sent."""

    place: int
    kind: Kind
    id: str
    body: bytes
    why: LoyaltyError


class OutboxUnusable(Exception):
    """The outbox's file cannot be read or written. What was not acknowledged by `put` is not kept."""

    def __init__(self, path: Path | str, said: str, code: int) -> None:
        todo = _WHAT_TO_DO.get(code, "See whether the disk is in order.") + (
            _SAVE if code in _DAMAGED else ""
        )
        super().__init__(f"The outbox {path} cannot be used: {said}. {todo}")


class Outbox:
    """A queue of purchases and returns in the file at `path`.

    `put` returns when the item is on disk; `forward` uploads what waits, oldest first, and lets an item go only when
    the server has acknowledged or finally refused it. After a crash items may be sent once more: the server knows their
    ids and answers with the first receipt. Several processes may share the file; one thread uses one Outbox.

    Every method raises OutboxUnusable when the file cannot be read or written.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        with self._telling():
            self._file = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._file.execute("pragma synchronous = full")
            (found,) = self._file.execute("pragma quick_check(1)").fetchone()
            if found != "ok":
                raise OutboxUnusable(path, found, sqlite3.SQLITE_CORRUPT)
            self._file.execute("pragma journal_mode = wal")
        with self._transaction() as cursor:  # fails at once where nothing can be written later
            for table in _TABLES:
                cursor.execute(table)

    def put(self, item: Item) -> None:
        """Keep an item to be forwarded. The same again changes nothing.

        Raises IdConflict for other content, TooLarge for an item of more than a megabyte.
        """
        kind, id = name_of(item)
        body = encode_item(item)
        if len(body) > ITEM_BYTES:
            raise TooLarge(f"The {kind} {id} is {len(body):,} bytes long; the server takes 1 MB. Split it.")
        with self._transaction() as cursor:
            cursor.execute("select body from waiting where kind = ? and id = ?", (kind, id))
            held = cursor.fetchone()
            if held is None:
                cursor.execute("insert into waiting (kind, id, body) values (?, ?, ?)", (kind, id, body))
            elif held[0] != body:
                raise IdConflict(f"The {kind} {id} waits here with other content.")

    def post(self, client: Client, item: Item) -> Receipt | ReturnReceipt | None:
        """Put an item, forward what waits, and return its receipt; None while the server cannot be reached.

        Raises the item's refusal, which stays in `refusals` too.
        """
        self.put(item)
        name = name_of(item)
        for uploaded in self.forward(client):
            if (uploaded.kind, uploaded.id) == name:
                return _receipt(uploaded)
        if self._rows("select 1 from waiting where kind = ? and id = ?", *name):
            return None
        return self._settled_elsewhere(client, item)

    def forward(self, client: Client, *, batch: int = 500) -> list[Uploaded]:
        """Upload what waits, and return what was settled. What the server cannot take now goes on waiting.

        Raises Unauthenticated or Forbidden if the key may not upload.
        """
        settled: list[Uploaded] = []
        while rows := self._oldest(batch):
            try:
                results = client.upload_lines(
                    [(kind, id) for _, kind, id, _ in rows], [row[3] for row in rows]
                )
            except (Unreachable, *PASSING):
                break
            done = _final(results)
            self._settle([(row, results[index]) for index, row in enumerate(rows) if done[index]])
            settled += [result for result, final in zip(results, done, strict=True) if final]
            if not all(done):
                break
        return settled

    def waiting(self) -> int:
        """How many items wait."""
        return int(self._rows("select count(*) from waiting")[0][0])

    def refusals(self) -> list[Refusal]:
        """What was refused for good, oldest first, until it is dismissed."""
        return [
            Refusal(place, cast("Kind", kind), id, body, refusal(msgspec.json.decode(problem)))
            for place, kind, id, body, problem in self._rows(
                "select place, kind, id, body, problem from refused order by place"
            )
        ]

    def dismiss(self, looked_at: Refusal) -> None:
        """Forget a refusal that somebody has seen to."""
        with self._transaction() as cursor:
            cursor.execute("delete from refused where place = ?", (looked_at.place,))

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        self._file.close()

    def _settle(self, done: list[tuple[tuple[Any, ...], Uploaded]]) -> None:
        with self._transaction() as cursor:
            for (place, kind, id, body), result in done:
                # Another process may have settled it before, and somebody seen to its refusal.
                ours = cursor.execute("delete from waiting where place = ?", (place,)).rowcount == 1
                if ours and result.refusal is not None:
                    problem = _problem(result.refusal)
                    cursor.execute(
                        "insert into refused values (?, ?, ?, ?, ?)", (place, kind, id, body, problem)
                    )

    def _oldest(self, batch: int) -> list[Any]:
        """What is uploaded next: at least one item if any waits."""
        rows = self._rows("select place, kind, id, body from waiting order by place limit ?", batch)
        before = [0, *accumulate(len(row[3]) for row in rows)]
        return [row for row, sent in zip(rows, before, strict=False) if sent <= UPLOAD_BYTES]

    def _settled_elsewhere(self, client: Client, item: Item) -> Receipt | ReturnReceipt | None:
        """The receipt of an item that another process uploaded meanwhile: the server tells it again."""
        for kept in self.refusals():
            if (kept.kind, kept.id) == name_of(item):
                raise kept.why
        try:
            (again,) = client.upload([item])
        except (Unreachable, *PASSING):
            return None
        return None if isinstance(again.refusal, PASSING) else _receipt(again)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._telling():
            return self._file.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        # Rolled back whatever interrupts it: what is put into a transaction left open would not be on disk.
        with self._telling(), closing(self._file.cursor()) as cursor, self._file:
            cursor.execute("begin immediate")
            yield cursor

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:  # a closed outbox, or another thread's: the file is in order
            raise
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without its extension
            raise OutboxUnusable(self._path, str(error), code) from error


def _receipt(uploaded: Uploaded) -> Receipt | ReturnReceipt | None:
    if uploaded.refusal is not None:
        raise uploaded.refusal
    return uploaded.receipt


def _final(results: list[Uploaded]) -> list[bool]:
    """Which results stand. Behind an item that must be tried again refusals do not: it may be what they lacked."""
    passing = False
    final = []
    for result in results:
        passing = passing or isinstance(result.refusal, PASSING)
        final.append(result.refusal is None or not passing)
    return final


def _problem(error: LoyaltyError) -> bytes:
    said = {"code": error.code, "detail": error.detail, "errors": error.errors}
    return msgspec.json.encode(error.facts | said if error.errors else error.facts | said | {"errors": ()})
