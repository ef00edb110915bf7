"""Migrations: once, in order, never edited; functions again when changed; several servers at once."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from loyalty.db.connect import connect_owner, open_pool
from loyalty.db.migrate import MigrationError, migrate, pending

ROLE = """
do $$ begin
    create role loyalty_app nologin;
exception when duplicate_object or unique_violation then null;
end $$;
grant usage on schema loyalty to loyalty_app;
"""


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """A small sql folder of two migrations and two functions, the second of which needs the first."""
    write(tmp_path, "migrations/0001_ledger.sql", ROLE + "create table entry (points bigint);")
    write(
        tmp_path,
        "migrations/0002_lots.sql",
        "alter table entry add lot bigint; insert into entry values (1, 1);",
    )
    write(
        tmp_path,
        "functions/a_total.sql",
        function("a_total", "select sum(points)::bigint from loyalty.entry"),
    )
    write(tmp_path, "functions/b_twice.sql", function("b_twice", "select 2 * loyalty.a_total()"))
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def function(name: str, body: str) -> str:
    return f"create or replace function {name}() returns bigint language sql as $$ {body} $$;"


async def value(url: str, query: str) -> object:
    connection = await connect_owner(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_files_are_applied_once_and_in_order(empty_database_url: str, sql: Path) -> None:
    everything = [
        "migrations/0001_ledger.sql",
        "migrations/0002_lots.sql",
        "functions/a_total.sql",
        "functions/b_twice.sql",
    ]
    assert await pending(empty_database_url, sql_folder=sql) == everything
    assert await migrate(empty_database_url, sql_folder=sql) == everything
    assert await migrate(empty_database_url, sql_folder=sql) == []
    assert await pending(empty_database_url, sql_folder=sql) == []
    assert await value(empty_database_url, "select b_twice()") == 2


async def test_a_later_migration_is_applied_alone(empty_database_url: str, sql: Path) -> None:
    await migrate(empty_database_url, sql_folder=sql)
    write(sql, "migrations/0003_more.sql", "insert into entry values (4, 2);")
    assert await migrate(empty_database_url, sql_folder=sql) == ["migrations/0003_more.sql"]
    assert await value(empty_database_url, "select a_total()") == 5


async def test_an_edited_migration_is_refused(empty_database_url: str, sql: Path) -> None:
    await migrate(empty_database_url, sql_folder=sql)
    write(sql, "migrations/0002_lots.sql", "alter table entry add lot integer;")
    with pytest.raises(MigrationError, match=r"0002_lots.sql was edited"):
        await migrate(empty_database_url, sql_folder=sql)


async def test_a_database_made_by_a_newer_version_is_refused(empty_database_url: str, sql: Path) -> None:
    await migrate(empty_database_url, sql_folder=sql)
    (sql / "migrations/0002_lots.sql").unlink()
    with pytest.raises(MigrationError, match="made by a newer one"):
        await migrate(empty_database_url, sql_folder=sql)


async def test_a_migration_that_comes_too_late_is_refused(empty_database_url: str, sql: Path) -> None:
    second = sql / "migrations/0002_lots.sql"
    second.rename(sql / "migrations/0004_lots.sql")
    await migrate(empty_database_url, sql_folder=sql)
    write(sql, "migrations/0003_between.sql", "select 1;")
    with pytest.raises(MigrationError, match="later number"):
        await migrate(empty_database_url, sql_folder=sql)


@pytest.mark.parametrize("name", ["0002_again.sql", "next.sql", "3_short.sql"])
async def test_names_that_give_no_order_are_refused(empty_database_url: str, sql: Path, name: str) -> None:
    write(sql, f"migrations/{name}", "select 1;")
    with pytest.raises(MigrationError):
        await migrate(empty_database_url, sql_folder=sql)


async def test_a_changed_function_is_applied_again(empty_database_url: str, sql: Path) -> None:
    await migrate(empty_database_url, sql_folder=sql)
    write(sql, "functions/b_twice.sql", function("b_twice", "select 20 * loyalty.a_total()"))
    assert await migrate(empty_database_url, sql_folder=sql) == ["functions/b_twice.sql"]
    assert await value(empty_database_url, "select b_twice()") == 20


async def test_a_file_that_fails_leaves_nothing_and_names_its_line(
    empty_database_url: str, sql: Path
) -> None:
    write(
        sql, "migrations/0003_bad.sql", "insert into entry values (7, 7);\nselect no_such_column from entry;"
    )
    with pytest.raises(MigrationError, match=r"0003_bad.sql, line 2: .*no_such_column"):
        await migrate(empty_database_url, sql_folder=sql)
    assert await value(empty_database_url, "select sum(points)::bigint from entry") == 1
    assert (await pending(empty_database_url, sql_folder=sql))[0] == "migrations/0003_bad.sql"


async def test_functions_change_together_or_not_at_all(empty_database_url: str, sql: Path) -> None:
    await migrate(empty_database_url, sql_folder=sql)
    write(sql, "functions/a_total.sql", function("a_total", "select 100::bigint"))
    write(sql, "functions/b_twice.sql", "create nonsense;")
    with pytest.raises(MigrationError, match=r"b_twice.sql"):
        await migrate(empty_database_url, sql_folder=sql)
    assert await value(empty_database_url, "select a_total()") == 1


async def test_servers_that_start_at_once_migrate_once(empty_database_url: str, sql: Path) -> None:
    done = await asyncio.gather(*(migrate(empty_database_url, sql_folder=sql) for _ in range(6)))
    assert sorted(len(names) for names in done) == [0, 0, 0, 0, 0, 4]


async def test_the_real_files_apply_and_once_is_enough(empty_database_url: str) -> None:
    assert await migrate(empty_database_url)
    assert await migrate(empty_database_url) == []


async def test_a_pooled_connection_runs_as_the_app_role_and_forgets_a_transaction(
    empty_database_url: str, sql: Path
) -> None:
    await migrate(empty_database_url, sql_folder=sql)
    async with await open_pool(empty_database_url, size=1) as pool:
        settings = await pool.fetchrow(
            "select current_user, current_setting('timezone'), current_setting('plan_cache_mode'), "
            "current_setting('lock_timeout'), current_schema()"
        )
        assert tuple(settings) == ("loyalty_app", "UTC", "force_generic_plan", "5s", "loyalty")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute("insert into entry values (1, 1)")
        async with pool.acquire() as connection:
            await connection.execute("begin; set local lock_timeout = '1s'")
        assert await pool.fetchval("select current_setting('lock_timeout')") == "5s"
    async with await open_pool(empty_database_url, role=None, size=1, plan_cache_mode="auto") as pool:
        assert await pool.fetchval("select current_user = session_user")
