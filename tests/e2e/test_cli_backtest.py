"""`loyalty backtest`: tables, JSON and a page from a file, progress beside them, exit codes that scripts can use."""

from pathlib import Path

import asyncpg
import msgspec
import pytest

from loyalty.backtest import Report
from tests.e2e.shell import loyalty, many_rows, write
from tests.e2e.test_cli_commands import PROGRAM


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> str:
    """A database with a program and purchases."""
    (tmp_path / "p.toml").write_text(PROGRAM)
    loyalty(database_url, "program", "apply", "p.toml", cwd=tmp_path)
    loyalty(database_url, "import", write(tmp_path / "till.csv", many_rows(120, 5)), cwd=tmp_path)
    return database_url


def test_a_candidate_is_tried_and_nothing_is_posted(shop: str, tmp_path: Path) -> None:
    (tmp_path / "double.toml").write_text(PROGRAM.replace("points = 1", "points = 2"))
    before = loyalty(shop, "report", "liability", "--json", cwd=tmp_path).stdout
    said = loyalty(shop, "backtest", "double.toml", "--html", "r.html", "--json", "r.json", cwd=tmp_path)
    assert "Replaying what was in force comes to what the ledger holds" in " ".join(said.stdout.split())
    assert "120 purchases of" in said.stderr
    assert "purchases a second" in said.stderr
    report = msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=Report)
    assert report.reproduced.checked
    assert report.purchases == 120
    # Each purchase is floored once: twice as many points, and at most one more a purchase.
    assert 0 <= report.candidate.total.issued - 2 * report.now.total.issued <= 120
    assert "<svg" in (tmp_path / "r.html").read_text()
    after = loyalty(shop, "report", "liability", "--json", cwd=tmp_path).stdout
    assert {**msgspec.json.decode(before), "as_of": ""} == {**msgspec.json.decode(after), "as_of": ""}


def test_json_alone_on_stdout(shop: str, tmp_path: Path) -> None:
    said = loyalty(shop, "backtest", "p.toml", "--json", "-", "--processes", "1", cwd=tmp_path)
    report = msgspec.json.decode(said.stdout, type=Report)
    assert report.now.total == report.candidate.total
    assert report.winners == report.losers == 0


def test_a_period(shop: str, tmp_path: Path) -> None:
    options = ("--from", "2026-01-05T10:00:00Z", "--to", "2026-01-05T10:30:00Z", "--json", "-")
    report = msgspec.json.decode(
        loyalty(shop, "backtest", "p.toml", *options, cwd=tmp_path).stdout, type=Report
    )
    assert report.purchases == 60
    assert not report.reproduced.checked
    said = loyalty(shop, "backtest", "p.toml", "--from", "2027-13-01", cwd=tmp_path, expect=2)
    assert "2027-13-01" in said.stderr
    loyalty(shop, "backtest", "p.toml", "--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z",
            cwd=tmp_path, expect=1)  # fmt: skip


def test_a_faulty_file_is_named_by_line(shop: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(PROGRAM.replace("validity_months", "validty_months"))
    said = loyalty(shop, "backtest", "bad.toml", cwd=tmp_path, expect=1)
    assert said.stderr.startswith("bad.toml:14: tier_policy.validty_months: ")
    (tmp_path / "other.toml").write_text(PROGRAM.replace("CNY", "EUR"))
    assert "currency" in loyalty(shop, "backtest", "other.toml", cwd=tmp_path, expect=1).stderr
    loyalty(shop, "backtest", "none.toml", cwd=tmp_path, expect=2)


async def test_a_ledger_that_was_tampered_with_is_noticed(shop: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(shop)
    await connection.execute("update loyalty.account set balance = balance + 1 where account = 1")
    await connection.close()
    said = loyalty(shop, "backtest", "p.toml", cwd=tmp_path, expect=1)
    assert "differs from the ledger in 1 accounts" in said.stderr
    assert "balance" in said.stderr


def test_it_is_listed(tmp_path: Path) -> None:
    assert "  backtest " in loyalty(None, "--help", cwd=tmp_path).stdout
