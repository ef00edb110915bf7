"""One of an import's processes: its own connections, and accounts that no other one posts to."""

import asyncio
import gc
import os
import signal
import threading
from multiprocessing import parent_process

import msgspec
from msgspec import Struct

from loyalty.engine.engine import Engine
from loyalty.importing.post import Options, Poster
from loyalty.importing.stage import Parcel
from loyalty.importing.summary import Summary
from loyalty.members.vault import Vault


class Frame(Struct, frozen=True):
    """What every process needs to know. `rejected`: purchases of the file that were rejected before it began."""

    database_url: str
    vault: Vault
    options: Options
    rejected: frozenset[str]


class _Process:
    loop: asyncio.AbstractEventLoop
    frame: Frame
    poster: Poster | None = None


def start(frame: Frame) -> None:
    """Readies this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()  # rows make no cycles; what does is collected between parcels
    _Process.loop = asyncio.new_event_loop()
    _Process.frame = frame


def post_here(packed: bytes) -> Summary:
    """Posts parcels in this process. They come as MessagePack, which is a tenth of the work of a pickle."""
    summary = _Process.loop.run_until_complete(_post(_unpack(packed)))
    gc.collect()
    return summary


_unpack = msgspec.msgpack.Decoder(list[Parcel]).decode


async def _post(parcels: list[Parcel]) -> Summary:
    # Connected only now: an error here comes back with the parcels, one in `start` would only break the pool.
    if _Process.poster is None:
        frame = _Process.frame
        engine = await Engine.open(frame.database_url, frame.vault, pool_size=1)
        _Process.poster = Poster(engine, frame.options, frame.rejected)
        gc.freeze()
    return await _Process.poster.post(parcels)


def _end_with_parent() -> None:
    """What is under way is rolled back, and posted when the command is given again."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
