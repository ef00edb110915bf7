"""A Postgres of the fault tests' own, which they may kill, and a database in it for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Ground
from tests.faults.postgres import Postgres


@pytest.fixture(scope="session")
def mortal_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Whoever stops it starts it again."""
    postgres = Postgres(tmp_path_factory.mktemp("mortal"))
    postgres.do_now(postgres.start)
    yield postgres
    postgres.do_now(postgres.dispose)


@pytest.fixture
async def ground(
    mortal_postgres: Postgres, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Ground]:
    """A database and no server yet. The scenario is called what the test is called."""
    database = await mortal_postgres.database()
    scenario = request.node.name.removeprefix("test_").replace("_", " ")
    made = Ground(scenario, mortal_postgres, database, tmp_path)
    yield made
    await made.close()
    await mortal_postgres.drop(database)
