"""Store and forward, for tills that may be offline: what was put in survives a crash and is uploaded in order."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from loyalty.client.client import Client, Unreachable
from loyalty.client.refusal import refusal
from loyalty.client.upload import Item, Kind, Uploaded, encode_item, name_of
from loyalty.engine.answers import Receipt, ReturnReceipt
from loyalty.errors import IdConflict, Internal, LoyaltyError, Overloaded, RateLimited

PASSING = (Overloaded, RateLimited, Internal)
"""Refusals that a later try may mend."""

_SCHEMA = """
    create table if not exists waiting (
        place integer primary key autoincrement,
        kind text not null, id text not null, body blob not null,
        unique (kind, id)
    ) strict;
    create table if not exists refused (
        place integer primary key,
        kind text not null, id text not null, body blob not null, problem blob not null
    ) strict;
"""


class Refusal(Struct, frozen=True):
    """An item that the server refused for good, and why: somebody has to look at it. `body` is what was sent."""

    place: int
    kind: Kind
    id: str
    body: bytes
    why: LoyaltyError


class Outbox:
    """A queue of purchases and returns in the file at `path`.

    `put` returns when the item is on disk; `forward` uploads what waits, oldest first, and lets an item go only when
    the server has acknowledged or finally refused it. After a crash items may be sent once more: the server knows their
    ids and answers with the first receipt. Several processes may share the file; one thread uses one Outbox.
    """

    def __init__(self, path: Path | str) -> None:
        self._file = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._file.execute("pragma journal_mode = wal")
        self._file.execute("pragma synchronous = full")
        self._file.executescript(_SCHEMA)

    def put(self, item: Item) -> None:
        """Keep an item to be forwarded. The same again changes nothing; raises IdConflict for other content."""
        kind, id = name_of(item)
        body = encode_item(item)
        made = self._file.execute(
            "insert into waiting (kind, id, body) values (?, ?, ?) on conflict do nothing", (kind, id, body)
        )
        if made.rowcount == 1:
            return
        held = self._file.execute("select body from waiting where kind = ? and id = ?", (kind, id)).fetchone()
        if held is not None and held[0] != body:
            raise IdConflict(f"The {kind} {id} waits here with other content.")

    def post(self, client: Client, item: Item) -> Receipt | ReturnReceipt | None:
        """Put an item, forward what waits, and return its receipt; None while the server cannot be reached.

        Raises the item's refusal, which stays in `refusals` too.
        """
        self.put(item)
        for uploaded in self.forward(client):
            if (uploaded.kind, uploaded.id) == name_of(item):
                if uploaded.refusal is not None:
                    raise uploaded.refusal
                return uploaded.receipt
        return None

    def forward(self, client: Client, *, batch: int = 500) -> list[Uploaded]:
        """Upload what waits, and return what was settled. What the server cannot take now goes on waiting.

        Raises Unauthenticated or Forbidden if the key may not upload.
        """
        settled: list[Uploaded] = []
        while rows := self._file.execute(
            "select place, kind, id, body from waiting order by place limit ?", (batch,)
        ).fetchall():
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
        return int(self._file.execute("select count(*) from waiting").fetchone()[0])

    def refusals(self) -> list[Refusal]:
        """What was refused for good, oldest first, until it is dismissed."""
        rows = self._file.execute("select place, kind, id, body, problem from refused order by place")
        return [
            Refusal(place, cast("Kind", kind), id, body, refusal(msgspec.json.decode(problem)))
            for place, kind, id, body, problem in rows
        ]

    def dismiss(self, looked_at: Refusal) -> None:
        """Forget a refusal that somebody has seen to."""
        self._file.execute("delete from refused where place = ?", (looked_at.place,))

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        self._file.close()

    def _settle(self, done: list[tuple[tuple[Any, ...], Uploaded]]) -> None:
        # Rolled back whatever interrupts it: what is put into a transaction left open would not be on disk.
        with closing(self._file.cursor()) as cursor, self._file:
            cursor.execute("begin immediate")
            for (place, kind, id, body), result in done:
                if result.refusal is not None:
                    cursor.execute(
                        "insert into refused values (?, ?, ?, ?, ?) on conflict do nothing",
                        (place, kind, id, body, _problem(result.refusal)),
                    )
                cursor.execute("delete from waiting where place = ?", (place,))


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
