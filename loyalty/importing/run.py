"""Files of purchases and returns: read, put in order, and posted, each account by itself, on all cores.

Documents of one account are posted in the order in which they happened; accounts have nothing to do with each other,
but for a budget that may run out: until that is settled, all are posted one after another. Stopped at any point, the
same call goes on where it was: what is on record already is counted as replayed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from itertools import islice

import msgspec

from loyalty.engine.engine import Engine
from loyalty.importing.budgets import order_matters
from loyalty.importing.documents import PLACE
from loyalty.importing.owners import find_owners
from loyalty.importing.post import Options, Poster
from loyalty.importing.source import DOCUMENT_COLUMNS, Source
from loyalty.importing.stage import Parcel, Stage
from loyalty.importing.summary import Summary
from loyalty.importing.worker import Frame, post_here, start
from loyalty.processes import Processes

PARCELS = 1_000
"""Units that a process takes at once, unless one account has more: what is posted between two signs of progress."""
FEW = 3_000
"""Units that are posted before another process has started."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much (0: not known)."""


async def import_documents(
    engine: Engine,
    source: Source,
    options: Options,
    progress: Progress,
    *,
    database_url: str,
    processes: int,
) -> Summary:
    """Import a file of purchases and returns; returns what became of it.

    Args:
        engine: of the database at `database_url`, to which every process connects.
        processes: how many share the posting; 1 does it in this one.

    Raises:
        UnreadableFileError: the file cannot be read to its end; nothing was posted.
        ProcessLostError: one of the processes was ended from outside.
    """
    stage = Stage(options.zone)
    await asyncio.to_thread(_fill, stage, source, progress)
    await find_owners(engine, stage)
    await asyncio.to_thread(stage.put_in_order)
    summary = Summary()
    summary.rows, summary.documents = stage.rows, stage.documents
    poster = Poster(engine, options)
    done = await _in_order(engine, stage, poster, summary, progress)
    left = _by_account(stage.take(done, by_owner=True))
    with ExitStack() as stack:
        if processes == 1 or stage.units - done <= FEW:
            parts = _here(poster, left)
        else:
            frame = Frame(database_url, engine.vault, options, frozenset(poster.rejected))
            pool = stack.enter_context(Processes(processes, start, frame))
            parts = pool.share(post_here, map(msgspec.msgpack.encode, left))
        async for units, part in parts:
            summary.add(part)
            done += units
            progress("posted", done, stage.units)
    return summary


def _fill(stage: Stage, source: Source, progress: Progress) -> None:
    stage.add(
        source.rows(DOCUMENT_COLUMNS),
        kind=None,
        key=PLACE["purchase_id"],
        kind_at=PLACE["kind"],
        at=PLACE["occurred_at"],
        original=PLACE["original_purchase_id"],
        ref=PLACE["member_ref"],
        progress=lambda rows: progress("read", rows, 0),
    )
    stage.gather()


async def _in_order(
    engine: Engine, stage: Stage, poster: Poster, summary: Summary, progress: Progress
) -> int:
    """Posts documents of all accounts by their times, while a budget may run out. Returns how many units."""
    done, members, returns = 0, stage.owners(), stage.returns()
    parcels = stage.take()
    programs = [version.program for version in (await engine.programs()).all]
    while done < stage.units:
        if not any(
            order_matters(programs, used, purchases=stage.units - done, members=members, returns=returns)
            for used in await _budgets(engine)
        ):
            break
        chunk = list(islice(parcels, PARCELS))
        summary.add(await poster.post(chunk))
        done += len(chunk)
        progress("posted in order", done, stage.units)
    return done


async def _budgets(engine: Engine) -> list[dict[str, int]]:
    """For each shard, points of each budget that were given."""
    used: list[dict[str, int]] = [{} for _ in range(engine.shards)]
    for row in await engine.pool.fetch("select shard, rule, points from budget"):
        used[row["shard"]][row["rule"]] = row["points"]
    return used


def _by_account(parcels: Iterator[Parcel]) -> Iterator[list[Parcel]]:
    """Parcels by the thousand, those of one owner together. Nobody's may lie anywhere."""
    chunk: list[Parcel] = []
    for parcel in parcels:
        if len(chunk) >= PARCELS and (parcel.owner != chunk[-1].owner or not parcel.owner):
            yield chunk
            chunk = []
        chunk.append(parcel)
    if chunk:
        yield chunk


async def _here(poster: Poster, chunks: Iterator[list[Parcel]]) -> AsyncIterator[tuple[int, Summary]]:
    for chunk in chunks:
        yield len(chunk), await poster.post(chunk)
