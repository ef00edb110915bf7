"""Those that take part in several figures."""

import asyncio
from collections.abc import Callable

from bench import data, pgbench
from bench.harness import Bench, Contestant, load_options
from bench.load import Sample, drive
from bench.stack import Server

SQL = data.SQL


def _purchases(bench: Bench) -> Callable[[float], Sample]:
    server = bench.server("members", bench.database())
    return lambda seconds: drive(server.url, "purchases", seconds, **load_options(bench))


def _null(kind: str) -> Callable[[Bench], Callable[[float], Sample]]:
    def prepare(bench: Bench) -> Callable[[float], Sample]:
        server = null_server(bench, kind)
        return lambda seconds: drive(server.url, "purchases", seconds, **load_options(bench))

    return prepare


def null_server(bench: Bench, kind: str) -> Server:
    """The server without a database; see null_app.py."""
    return bench.start(
        f"null-{kind}",
        lambda: bench.stack.start(f"null-{kind}", ["-m", "bench.null_app"], {"LOYALTY_BENCH_NULL": kind}),
    )


def _naive_database(bench: Bench) -> str:
    def make() -> str:
        url = bench.stack.database("naive")
        asyncio.run(
            data.execute_and_vacuum(
                url, (SQL / "naive.sql").read_text().replace(":members", str(bench.scale.members))
            )
        )
        return url

    return str(bench.once("database naive", make))


def _pgbench(clients: int) -> Callable[[Bench], Callable[[float], Sample]]:
    def prepare(bench: Bench) -> Callable[[float], Sample]:
        _naive_database(bench)
        environment = bench.stack.libpq_environment("naive")
        members = bench.scale.members
        return lambda seconds: pgbench.run(
            environment, SQL / "naive.pgbench", seconds, clients, members=members
        )

    return prepare


def _baseline(bench: Bench) -> Callable[[float], Sample]:
    url = _naive_database(bench)
    server = bench.start(
        "baseline",
        lambda: bench.stack.start("baseline", ["-m", "bench.baseline_app"], {"LOYALTY_BENCH_DATABASE": url}),
    )
    return lambda seconds: drive(server.url, "purchases", seconds, **load_options(bench))


PURCHASES = Contestant("purchases", "purchases over HTTP", _purchases)
NULL = Contestant("null", "the same server without a database", _null("judge"))
DECIDED = Contestant("decided", "decided in memory, never posted", _null("decide"))
PGBENCH = tuple(
    Contestant(
        f"pgbench {clients}", f"pgbench, one function and commit, {clients} clients", _pgbench(clients)
    )
    for clients in (8, 16, 32, 64)
)
BASELINE = Contestant("baseline", "five statements a request, same framework", _baseline)
