"""The ground that a fault test stands on: a Postgres, servers, tills, and the reckoning afterwards."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from tests.faults.books import Compared, compare
from tests.faults.load import ANSWER_SECONDS, Load
from tests.faults.postgres import Postgres
from tests.faults.processes import Server, command
from tests.faults.shop import PROGRAM, Shop
from tests.faults.wire import LOST, Call, Line, Reply

REQUESTS = int(os.environ.get("LOYALTY_FAULT_REQUESTS") or 150)
"""Acknowledged requests in each scenario, at least."""
LONG = REQUESTS >= 1000
RESULTS = os.environ.get("LOYALTY_FAULT_RESULTS")
"""A file that gets one line a scenario."""
AGAIN_SECONDS = 30.0
"""Within this the server answers again by itself once the fault is over."""
_PROGRESS_SECONDS = 5.0

Faults = Callable[[Load], Coroutine[Any, Any, None]]


class Outcome(msgspec.Struct):
    """One scenario's line in the table. `outage`: the longest time in which nobody was acknowledged, in seconds."""

    scenario: str
    acknowledged: int
    lost: int
    doubled: int
    wrong: int
    outage: float
    faults: int
    late: int
    seen: dict[str, int]


class Ground:
    """One database and what runs on it."""

    def __init__(self, scenario: str, postgres: Postgres, database: str, folder: Path) -> None:
        self.scenario = scenario
        self.postgres = postgres
        self.database = database
        self.url = postgres.url(database)
        self.folder = folder
        self.servers: list[Server] = []
        self.faults = 0
        self.ahead = timedelta()

    async def serve(
        self, count: int = 1, *, url: str | None = None, embedded: bool = False, **settings: str
    ) -> Server:
        """Start servers on this database, by way of a stand-in's URL, or on a Postgres that they bring along.

        Returns the first of them.
        """
        program = self.folder / "program.toml"
        program.write_text(PROGRAM)
        new = [
            Server(
                None if embedded else url or self.url,
                self.folder / f"server-{len(self.servers) + n}.log",
                PROGRAM=str(program),
                **settings,
            )
            for n in range(count)
        ]
        for server in new:
            await server.start()
        self.servers += new
        return new[0]

    async def load(
        self, faults: Faults, *, ports: Sequence[int] = (), requests: int = REQUESTS, **manner: Any
    ) -> Load:
        """Let the tills send while `faults` happen; afterwards every request is acknowledged or refused."""
        shop = Shop("s", seed=int(os.environ.get("LOYALTY_FAULT_SEED") or 1), clock=self.now)
        shop.clock_moves = bool(manner.pop("clock_moves", False))
        load = Load(shop, ports or [server.port for server in self.servers], **manner)
        load.told = _Progress(self.scenario, requests)
        await load.run(requests, faults)
        return load

    async def again(self, load: Load, requests: int = 20) -> None:
        """Wait until the tills are answered again, which has to be soon."""
        begun = time.monotonic()
        async with asyncio.timeout(AGAIN_SECONDS):
            await load.more(requests)
        _note(f"{self.scenario}: answering again after {time.monotonic() - begun:.1f} s")

    async def settle(self, load: Load) -> Outcome:
        """The reckoning: nothing lost, nothing doubled, no wrong answer, the audit clean."""
        found = await compare(self.url, load, self.servers[0].port)
        code, printed = await command(self.url, "audit", cwd=self.folder)
        outcome = self.report(load, found)
        assert load.wrong == [], "\n".join(load.wrong[:20])
        assert found.lost == [], "\n".join(found.lost[:20])
        assert found.doubled == [], "\n".join(found.doubled[:20])
        assert code == 0, printed
        return outcome

    def report(self, load: Load, found: Compared) -> Outcome:
        """This scenario's line, also into the file of results if there is one."""
        outcome = Outcome(
            self.scenario, load.acknowledged, len(found.lost), len(found.doubled), len(load.wrong),
            round(load.longest_outage, 1), self.faults, found.late, dict(load.seen),
        )  # fmt: skip
        if RESULTS:
            with Path(RESULTS).open("ab") as file:
                file.write(msgspec.json.encode(outcome) + b"\n")
        _note(f"{outcome}")
        return outcome

    def now(self) -> datetime:
        """The ledger's clock, as the tills think."""
        return datetime.now(UTC) + self.ahead

    async def move_clock(self, days: float) -> None:
        """Move the ledger's clock forward."""
        ahead = self.ahead + timedelta(days=days)
        body = msgspec.json.encode({"now": datetime.now(UTC) + ahead})
        reply = await self.ask(Call("PUT", "/v1/sandbox/clock", body))
        assert reply.status == 200, reply
        self.ahead = ahead - timedelta(seconds=1)

    async def ask(self, call: Call, server: int = 0) -> Reply:
        """One call, repeated until it is answered with something else than 503."""
        line = Line(self.servers[server].port, ANSWER_SECONDS)
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                while True:
                    try:
                        reply = await line.ask(call)
                    except LOST:
                        reply = None
                    if reply is not None and reply.status != 503:
                        return reply
                    await asyncio.sleep(0.1)
        finally:
            line.close()

    async def count(self, query: str) -> int:
        """A number from the database."""
        connection = await asyncpg.connect(self.url)
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()

    async def close(self) -> None:
        """Stop the servers."""
        await asyncio.gather(*(server.stop() for server in self.servers))


class _Progress:
    def __init__(self, scenario: str, requests: int) -> None:
        self._scenario = scenario
        self._requests = requests
        self._said = time.monotonic()

    def __call__(self, acknowledged: int) -> None:
        if time.monotonic() - self._said > _PROGRESS_SECONDS:
            self._said = time.monotonic()
            _note(f"{self._scenario}: {acknowledged:,} of {self._requests:,} acknowledged")


def _note(text: str) -> None:
    if RESULTS:
        print(text, file=sys.stderr, flush=True)
