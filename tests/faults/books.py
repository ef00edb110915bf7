"""What must hold after the faults: compared are what the tills were told and what the ledger says."""

import asyncio
from collections import Counter
from collections.abc import Iterable

import asyncpg
import msgspec

from tests.faults.load import ANSWER_SECONDS, Load
from tests.faults.shop import Sent
from tests.faults.wire import LOST, Line, Reply

LINES = 16
HEADINGS = ("earn", "clawback", "redeem", "restore", "adjust")


class Compared(msgspec.Struct):
    """What was found. `late`: requests that nobody was told about and that were there whole."""

    lost: list[str] = msgspec.field(default_factory=list)
    doubled: list[str] = msgspec.field(default_factory=list)
    late: int = 0


async def compare(url: str, load: Load, port: int) -> Compared:
    """Repeat every acknowledged request, and set the ledger's sums against the receipts."""
    found = Compared()
    connection = await asyncpg.connect(url, server_settings={"search_path": "loyalty"})
    try:
        there = await _keys(connection, load.shop.name)
        # Nobody was told of these, and nobody may have been: they are there whole, or not at all.
        for sent in load.sent:
            if sent.body is None and sent.key in there:
                sent.refused = False
                found.late += 1
        known = [sent for sent in load.sent if sent.body is not None or sent.key in there]
        await _repeat(known, load, port, found)
        _compare_keys(known, await _keys(connection, load.shop.name), found)
        await _compare_sums(connection, load.shop.name, known, found)
    finally:
        await connection.close()
    return found


async def _keys(connection: asyncpg.Connection, shop: str) -> Counter[tuple[str, str]]:
    """Every request of the shop that is on record with how often it is there; endings of holds by the hold's id."""
    rows = await connection.fetch(
        "select * from ("
        " select kind::text as kind, coalesce(id, subject) as id, count(*) as n from posting"
        " where id is not null or kind in ('capture', 'release') group by 1, 2"
        " union all select 'member', member_id, 1 from member) x where starts_with(id, $1)",
        f"{shop}-",
    )
    return Counter({(row["kind"], row["id"]): row["n"] for row in rows})


async def _repeat(known: list[Sent], load: Load, port: int, found: Compared) -> None:
    queue = list(reversed(known))

    async def repeat_some() -> None:
        line = Line(port, ANSWER_SECONDS)
        while queue:
            sent = queue.pop()
            reply = await _settled(line, sent)
            if reply.status != 200 or not (reply.replayed or sent.key[0] == "member"):
                found.lost.append(f"{sent.key}: {reply.status} {reply.body[:300]!r}")
            elif sent.body is None:
                sent.body = reply.body
            elif sent.body != reply.body and sent.key[0] != "member":
                found.lost.append(f"{sent.key}: now {reply.body!r}, before {sent.body!r}")
        line.close()

    await asyncio.gather(*(repeat_some() for _ in range(LINES)))


async def _settled(line: Line, sent: Sent) -> Reply:
    """The faults are over: a 503 or two may still come, more may not."""
    reply = None
    for attempt in range(20):
        try:
            reply = await line.ask(sent.call)
            if reply.status != 503:
                return reply
        except LOST:
            if attempt == 19:
                raise
        await asyncio.sleep(0.2)
    assert reply is not None
    return reply


def _compare_keys(known: list[Sent], there: Counter[tuple[str, str]], found: Compared) -> None:
    expected = set()
    for sent in known:
        expected |= {sent.key, *sent.keys}
    for key in expected - set(there):
        found.lost.append(f"{key} was acknowledged and is not there")
    for key, times in there.items():
        if times > 1:
            found.doubled.append(f"{key} is there {times} times")
        if key not in expected:
            found.doubled.append(f"{key} is there and was never acknowledged nor found")


async def _compare_sums(
    connection: asyncpg.Connection, shop: str, known: Iterable[Sent], found: Compared
) -> None:
    told: Counter[tuple[str, str]] = Counter()
    for sent in known:
        if sent.key[0] == "member" or sent.body is None:
            continue
        receipt = msgspec.json.decode(sent.body)
        for heading, points in _points(sent.key[0], receipt):
            told[receipt["member_id"], heading] += points
    rows = await connection.fetch(
        "select m.member_id, e.kind::text as kind, sum(e.points)::bigint as points from entry e"
        " join member m using (account) where starts_with(m.member_id, $1) group by 1, 2",
        f"{shop}-",
    )
    booked = {(row["member_id"], row["kind"]): row["points"] for row in rows if row["kind"] in HEADINGS}
    for key in told.keys() | booked.keys():
        if told[key] != booked.get(key, 0):
            found.doubled.append(f"{key}: the receipts say {told[key]}, the ledger {booked.get(key, 0)}")


def _points(kind: str, receipt: dict) -> list[tuple[str, int]]:
    """What a receipt says was booked, by kind of entry."""
    if kind == "purchase":
        return [("earn", receipt["points_earned"]), ("redeem", -receipt["points_redeemed"])]
    if kind == "return":
        return [("clawback", -receipt["points_clawed_back"]), ("restore", receipt["points_restored"])]
    if kind == "adjustment":
        return [("adjust", receipt["points"])]
    if kind == "capture" or (kind == "redemption" and receipt["status"] == "captured"):
        return [("redeem", -receipt["points"])]
    return []
