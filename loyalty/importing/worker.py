"""One of an import's processes: its own connections, and accounts that no other one posts to."""

import asyncio
import gc

import msgspec
from msgspec import Struct

from loyalty.engine.engine import Engine
from loyalty.importing.post import Options, Poster
from loyalty.importing.stage import Parcel
from loyalty.importing.summary import Summary
from loyalty.members.vault import Vault
from loyalty.processes import ready


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
    _Process.loop = ready()
    _Process.frame = frame


def post_here(packed: bytes) -> tuple[int, Summary]:
    """Posts parcels in this process, and says how many. They come as MessagePack, a tenth of the work of a pickle."""
    parcels = _unpack(packed)
    summary = _Process.loop.run_until_complete(_post(parcels))
    gc.collect()
    return len(parcels), summary


_unpack = msgspec.msgpack.Decoder(list[Parcel]).decode


async def _post(parcels: list[Parcel]) -> Summary:
    # Connected only now: an error here comes back with the parcels, one in `start` would only break the pool.
    if _Process.poster is None:
        frame = _Process.frame
        engine = await Engine.open(frame.database_url, frame.vault, pool_size=1)
        _Process.poster = Poster(engine, frame.options, frame.rejected)
        gc.freeze()
    return await _Process.poster.post(parcels)
