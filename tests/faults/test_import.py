"""Promise 9: an import is killed half-way beside the tills, and the same call goes on where it was."""

from functools import partial
from pathlib import Path

import asyncpg
import msgspec

from tests.e2e.shell import many_rows, write
from tests.faults.harness import LONG, Ground
from tests.faults.load import Load
from tests.faults.processes import command

BASKETS = 30_000 if LONG else 800
KILLS = 5 if LONG else 1
MEMBERS = 200


async def test_an_import_is_killed_half_way_and_run_again(ground: Ground) -> None:
    await ground.serve()
    file = write(ground.folder / "year.csv", many_rows(BASKETS, MEMBERS))

    async def kill_it(load: Load) -> None:
        for turn in range(KILLS):
            half_way = partial(_so_many_are_there, ground, BASKETS * (turn + 1) // (KILLS + 2))
            code, _ = await _import(ground, file, ground.url, kill_when=half_way)
            ground.faults += code != 0
        code, told = await _import(ground, file, ground.url)
        assert code == 0, told
        counts = msgspec.json.decode(told)
        assert counts["refused"] == {}
        assert counts["replayed"]["purchases"] > 0, "it went on where it was"
        assert counts["created"].get("purchases", 0) + counts["replayed"]["purchases"] == BASKETS

    load = await ground.load(kill_it)
    assert ground.faults == KILLS, "it was never killed half-way"
    await ground.settle(load)
    assert await _entries(ground.url) == await _entries_of_one_go(ground, file)


async def _import(ground: Ground, file: Path, url: str, **more) -> tuple[int, str]:
    code, told = await command(url, "import", "--json", str(file), cwd=ground.folder, **more)
    return code, told.splitlines()[-1] if told else ""


async def _so_many_are_there(ground: Ground, purchases: int) -> bool:
    return await ground.count("select count(*) from loyalty.posting where id like 'P%'") >= purchases


async def _entries_of_one_go(ground: Ground, file: Path) -> list[tuple]:
    """What the file comes to in a database of its own, without any fault."""
    database = await ground.postgres.database()
    url = ground.postgres.url(database)
    try:
        code, told = await command(
            url, "program", "apply", str(ground.folder / "program.toml"), cwd=ground.folder
        )
        assert code == 0, told
        code, told = await _import(ground, file, url)
        assert code == 0, told
        return await _entries(url)
    finally:
        await ground.postgres.drop(database)


async def _entries(url: str) -> list[tuple]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "select m.member_id, e.seq, e.kind::text, e.points, e.balance_after, e.occurred_at"
            " from loyalty.entry e join loyalty.member m using (account) where m.member_id not like 's-%'"
            " order by 1, 2"
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]
