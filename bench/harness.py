"""One run: contestants are prepared once, then measured in rounds, one after another, so that noise hits all alike."""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench import data
from bench.load import Sample
from bench.stack import KEY, Server, Stack


@dataclass(frozen=True)
class Scale:
    """How much is done. Seconds are per contestant and round."""

    name: Literal["quick", "full"]
    seconds: float
    warm_seconds: float
    rounds: int
    members: int
    lots: int
    """Open lots of a member who redeems."""
    import_purchases: int
    due_lots: int
    growth: int
    """How many times `members` the grown ledger has, ten entries each."""
    memory_purchases: int


QUICK = Scale("quick", 2, 1, 2, 20_000, 4, 5_000, 10_000, 0, 0)
FULL = Scale("full", 10, 5, 5, 100_000, 8, 1_000_000, 1_000_000, 10, 1_000_000)


@dataclass(frozen=True)
class Contestant:
    """Something that has a rate. `prepare` returns what measures it for a number of seconds."""

    name: str
    title: str
    prepare: Callable[["Bench"], Callable[[float], Sample]]


@dataclass(frozen=True)
class Result:
    """A figure as measured. `parts` are what it was made of, for the page."""

    value: float
    parts: dict[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """One row of the table: a ratio, its bar, who takes part in the rounds, and how the ratio comes of them."""

    id: str
    title: str
    bar: float
    at_least: bool
    contestants: tuple[Contestant, ...]
    judge: Callable[["Bench"], Result]
    group: int
    """Figures of one group are measured in the same rounds; Postgres has no room for the servers of all."""
    quick: bool = True

    def holds(self, value: float) -> bool:
        """Whether the bar is met."""
        return value >= self.bar if self.at_least else value <= self.bar


class Bench:
    """What the contestants share: the processes, the databases, and all samples."""

    def __init__(self, stack: Stack, scale: Scale, say: Callable[[str], None]) -> None:
        self.stack = stack
        self.scale = scale
        self.say = say
        self.baskets = data.write_baskets(stack.folder / "baskets.ndjson")
        self.samples: dict[str, list[Sample]] = {}
        """Of the group that was measured last."""
        self._servers: dict[str, Server] = {}
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What several contestants use is made by the first."""
        if name not in self._made:
            started = time.monotonic()
            self._made[name] = make()
            self.say(f"  made {name} in {time.monotonic() - started:.1f} s")
        return self._made[name]

    def run(self, contestants: list[Contestant]) -> None:
        """Prepare, warm up, and measure in rounds."""
        self.samples = {}
        measures = [(one, one.prepare(self)) for one in contestants]
        for one, measure in measures:
            self.say(f"  warming up: {one.title}")
            measure(self.scale.warm_seconds)
        for number in range(1, self.scale.rounds + 1):
            for one, measure in measures:
                sample = measure(self.scale.seconds)
                self.samples.setdefault(one.name, []).append(sample)
                self.say(
                    f"  round {number}: {one.title}: {sample.rate:,.0f}/s, p50 {sample.p50_ms:.1f} ms,"
                    f" p99 {sample.p99_ms:.1f} ms" + (f", {sample.refused} refused" if sample.refused else "")
                )

    def rate(self, name: str) -> float:
        """The median rate of a contestant."""
        return statistics.median(sample.rate for sample in self.samples[name])

    def median(self, name: str, what: Callable[[Sample], float]) -> float:
        """The median over the rounds of something about a contestant."""
        return statistics.median(what(sample) for sample in self.samples[name])

    def database(self, name: str = "members") -> str:
        """The database of members that many contestants share; under another name, a copy of it as it was loaded."""
        return str(self.once(f"database {name}", lambda: self._database(name)))

    def server(self, name: str, database_url: str) -> Server:
        """A server on a database of this run."""
        return self.start(name, lambda: self.stack.serve(name, database_url))

    def start(self, name: str, make: Callable[[], Server]) -> Server:
        """A server that runs until the end of its group."""
        if name not in self._servers:
            self._servers[name] = make()
        return self._servers[name]

    def stop_servers(self) -> None:
        """End a group."""
        for server in self._servers.values():
            server.stop()
        self._servers.clear()

    def bare_database(self, name: str, program: Path) -> str:
        """A database of the same members without points, and with a program of its own."""

        def make() -> str:
            self.once("members without points", self._load_bare)
            url = self.stack.database(name, template="bare")
            asyncio.run(data.put_program(url, program))
            return url

        return str(self.once(f"database {name}", make))

    def _database(self, name: str) -> str:
        self.once("members with points", self._load)
        return self.stack.database(name, template="loaded")

    def _load_bare(self) -> None:
        asyncio.run(data.load_members(self.stack.database("bare"), self.scale.members))

    def _load(self) -> None:
        url = self.bare_database("loaded", data.EXAMPLE)
        asyncio.run(data.load_lots(url, self.scale.lots))


def ratio(over: str, under: str) -> Callable[[Bench], Result]:
    """The rate of one contestant over that of another."""

    def judge(bench: Bench) -> Result:
        a, b = bench.rate(over), bench.rate(under)
        return Result(a / b, {over: a, under: b})

    return judge


def load_options(bench: Bench) -> dict[str, Any]:
    """What every script of lua/ is told."""
    return {"key": KEY, "members": bench.scale.members, "baskets": bench.baskets}
