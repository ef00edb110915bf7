"""An optional peer: pgledger's transfer function through pgbench, from a checkout of its repository given by
`--pgledger FOLDER`. Nothing of it lies here."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bench import data, pgbench
from bench.harness import Bench, Contestant
from bench.load import BenchError, Sample

PARTS = (
    "vendor/scoville-pgsql-ulid/ulid-to-uuid.sql",
    "vendor/scoville-pgsql-ulid/uuid-to-ulid.sql",
    "pgledger.sql",
)
ACCOUNTS = 10_000
CLIENTS = 32
_ACCOUNTS = f"""
create table account_number (n bigint primary key, id text not null);
insert into account_number select n, (public.pgledger_create_account('member ' || n, 'PTS')).id
from generate_series(1, {ACCOUNTS}) n;
"""
_TRANSFER = f"""\\set giver random(1, {ACCOUNTS})
\\set taker 1 + (:giver - 1 + random(1, {ACCOUNTS} - 1)) % {ACCOUNTS}
\\set points random(1, 900)
select * from pgledger_create_transfer((select id from account_number where n = :giver),
    (select id from account_number where n = :taker), :points);
"""


def contestant(folder: Path) -> Contestant:
    """Transfers between accounts by chance: one issuing account would be a row that all wait for."""

    def prepare(bench: Bench) -> Callable[[float], Sample]:
        url = bench.stack.database("pgledger")
        try:
            source = "\n".join((folder / part).read_text() for part in PARTS)
        except OSError as error:
            raise BenchError(f"--pgledger {folder}: {error.strerror}: {error.filename}") from None
        asyncio.run(data.execute(url, "set search_path = public; " + source + _ACCOUNTS))
        script = bench.stack.folder / "pgledger.pgbench"
        script.write_text(_TRANSFER)
        environment = bench.stack.libpq_environment("pgledger")
        return lambda seconds: pgbench.run(environment, script, seconds, CLIENTS)

    return Contestant("pgledger", f"pgledger's transfer, {CLIENTS} clients", prepare)
