"""Each command: what it prints where, its exit code, and one clear sentence when something is wrong."""

import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tests.e2e.shell import loyalty, many_rows, write
from tests.vault import SECRET_KEYS

PROGRAM = """
name = "Test"
currency = "CNY"
time_zone = "Asia/Shanghai"
[points]
expiry = { kind = "after", days = 10 }
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 10000 }
[tier_policy]
window = { kind = "rolling", months = 1 }
validity_months = 1
[[rules]]
id = "base"
kind = "spend"
points = 1
per_amount = 100
"""


def test_help_is_instant_and_lists_every_command(tmp_path: Path) -> None:
    began = time.monotonic()
    said = loyalty(None, "--help", cwd=tmp_path).stdout
    assert time.monotonic() - began < 2
    for command in (
        "serve",
        "demo",
        "migrate",
        "keys",
        "program",
        "rewards",
        "import",
        "expire",
        "review-tiers",
        "time-out-holds",
        "archive",
        "jobs",
        "acts",
        "privacy",
        "report",
    ):
        assert f"  {command} " in said
    assert "LOYALTY_DATABASE_URL" in loyalty(None, "serve", "--help", cwd=tmp_path).stdout


def test_program_check_names_file_line_and_key(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(PROGRAM)
    bad.write_text(PROGRAM.replace("validity_months", "validty_months"))
    loyalty(None, "program", "check", good, cwd=tmp_path)
    said = loyalty(None, "program", "check", bad, cwd=tmp_path, expect=1)
    assert said.stdout.startswith(f"{bad}:14: tier_policy.validty_months: ")
    loyalty(None, "program", "check", tmp_path / "none.toml", cwd=tmp_path, expect=2)


def test_program_apply_and_show(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(PROGRAM)
    loyalty(database_url, "program", "apply", file, "--author", "t", "--note", "first", cwd=tmp_path)
    assert loyalty(database_url, "program", "show", cwd=tmp_path).stdout == PROGRAM
    assert (
        "1 point for every 1.00"
        in loyalty(database_url, "program", "show", "--version", "1", cwd=tmp_path).stdout
    )
    loyalty(database_url, "program", "show", "--version", "9", cwd=tmp_path, expect=1)
    file.write_text(PROGRAM.replace("rolling", "roling"))
    said = loyalty(database_url, "program", "apply", file, cwd=tmp_path, expect=1)
    assert "nothing was changed" in said.stderr
    said = loyalty(database_url, "program", "apply", file, "--effective-from", "2026", cwd=tmp_path, expect=2)
    assert "2026-03-01T00:00:00+08:00" in said.stderr


def test_keys_are_made_listed_and_revoked(database_url: str, tmp_path: Path) -> None:
    made = loyalty(database_url, "keys", "create", "--role", "pos", "--name", "till 1", cwd=tmp_path)
    assert made.stdout.startswith("loyalty_")
    assert len(made.stdout.split()) == 1
    listed = loyalty(database_url, "keys", "list", cwd=tmp_path).stdout
    assert "till 1" in listed
    assert made.stdout.strip() not in listed
    loyalty(database_url, "keys", "revoke", listed.split()[0], cwd=tmp_path)
    assert "revoked" in loyalty(database_url, "keys", "list", cwd=tmp_path).stdout
    loyalty(database_url, "keys", "revoke", "k-none", cwd=tmp_path, expect=1)
    loyalty(database_url, "keys", "create", "--role", "king", "--name", "x", cwd=tmp_path, expect=2)


def test_a_key_has_a_store_and_an_end_and_the_log_tells_who_made_it(
    database_url: str, tmp_path: Path
) -> None:
    till = ("keys", "create", "--role", "pos", "--name", "till 1")
    loyalty(database_url, *till, "--store", "17", "--expires-at", "2999-01-01T00:00:00+08:00", cwd=tmp_path)
    listed = loyalty(database_url, "keys", "list", cwd=tmp_path).stdout
    assert "valid until 2998-12-31 16:00Z" in listed
    assert "till 1, store 17" in listed
    for wrong in (("--expires-at", "2020-01-01T00:00:00Z"), ("--expires-at", "soon")):
        loyalty(database_url, *till, *wrong, cwd=tmp_path, expect=2)
    ops = ("keys", "create", "--role", "ops", "--name", "x", "--store", "17")
    assert "pos and eshop" in loyalty(database_url, *ops, cwd=tmp_path, expect=2).stderr
    (act,) = loyalty(database_url, "acts", cwd=tmp_path).stdout.splitlines()
    assert "key.created" in act
    assert act.endswith("by command line")


def test_a_secret_is_made_and_exchanged(database_url: str, tmp_path: Path) -> None:
    new = loyalty(None, "privacy", "new-key", cwd=tmp_path).stdout.strip()
    (tmp_path / "m.csv").write_text("member_id,phone,name\nli,+8613800000001,Li Lei\n")
    loyalty(database_url, "import", "m.csv", cwd=tmp_path)
    said = loyalty(database_url, "import", "m.csv", cwd=tmp_path, expect=1, SECRET_KEYS=new)
    assert "used with before" in said.stderr
    loyalty(database_url, "privacy", "rotate", cwd=tmp_path, expect=1, SECRET_KEYS=new)
    both = f"{new},{SECRET_KEYS}"
    said = loyalty(database_url, "privacy", "rotate", cwd=tmp_path, SECRET_KEYS=both)
    assert said.stdout.startswith("3 values were encrypted anew")
    said = loyalty(database_url, "privacy", "rotate", cwd=tmp_path, SECRET_KEYS=new)
    assert said.stdout.startswith("0 values were encrypted anew")
    loyalty(database_url, "import", "m.csv", cwd=tmp_path, SECRET_KEYS=new)
    acts = loyalty(database_url, "acts", cwd=tmp_path).stdout
    assert acts.count("secret.changed") == 1


def test_a_server_without_its_secret_says_what_to_do_and_changes_nothing(
    empty_database_url: str, tmp_path: Path
) -> None:
    said = loyalty(empty_database_url, "serve", cwd=tmp_path, expect=1, SECRET_KEYS="", PORT="0")
    assert "database_migrated" not in said.stderr
    assert "LOYALTY_SECRET_KEYS should be set" in said.stderr
    assert "loyalty privacy new-key" in said.stderr


def test_expire_review_and_report(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PROGRAM)
    loyalty(database_url, "program", "apply", "p.toml", cwd=tmp_path)
    loyalty(database_url, "import", write(tmp_path / "till.csv", many_rows(200, 5)), cwd=tmp_path)
    dry = loyalty(database_url, "expire", "--dry-run", cwd=tmp_path).stdout
    assert "dry run" in dry
    assert loyalty(database_url, "expire", "--dry-run", cwd=tmp_path).stdout == dry
    loyalty(database_url, "expire", cwd=tmp_path)
    loyalty(database_url, "review-tiers", cwd=tmp_path)
    loyalty(database_url, "time-out-holds", cwd=tmp_path)
    ran = loyalty(database_url, "jobs", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[2] for line in ran] == ["hold-timeouts", "tier-review", "expiry", "expiry", "expiry"]
    assert all("done" in line for line in ran)
    ran = loyalty(database_url, "jobs", "--kind", "expiry", "--json", cwd=tmp_path).stdout.splitlines()
    assert [msgspec.json.decode(line)["dry_run"] for line in ran] == [False, True, True]
    said = loyalty(database_url, "report", "liability", cwd=tmp_path).stdout
    assert "the sums agree" in said
    report = msgspec.json.decode(loyalty(database_url, "report", "liability", "--json", cwd=tmp_path).stdout)
    assert report["proven"]
    assert report["issued"] == report["expired"] > 0
    loyalty(database_url, "audit", cwd=tmp_path)


def test_archive(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PROGRAM)
    loyalty(database_url, "program", "apply", "p.toml", cwd=tmp_path)
    loyalty(database_url, "import", write(tmp_path / "till.csv", many_rows(200, 5)), cwd=tmp_path)
    assert "--before" in loyalty(database_url, "archive", cwd=tmp_path, expect=2).stderr
    said = loyalty(database_url, "archive", "--before", "2999-01-01T00:00:00Z", cwd=tmp_path, expect=1).stderr
    assert "only the past can be archived" in said
    before = datetime.now(UTC).isoformat()
    dry = loyalty(database_url, "archive", "--before", before, "--dry-run", cwd=tmp_path).stdout.splitlines()
    assert dry[0].split() == ["postings", "200"]
    assert dry[-1] == "Nothing was changed: this was a dry run."
    done = loyalty(database_url, "archive", "--before", before, cwd=tmp_path).stdout.splitlines()
    assert done[0] == dry[0]
    assert len(done) == 2
    ran = loyalty(database_url, "jobs", "--kind", "archive", cwd=tmp_path).stdout.splitlines()
    assert len(ran) == 2
    loyalty(database_url, "audit", cwd=tmp_path)
    loyalty(database_url, "backtest", "p.toml", "--verify", cwd=tmp_path)


def test_a_database_without_tables_says_what_to_run(empty_database_url: str, tmp_path: Path) -> None:
    said = loyalty(empty_database_url, "expire", cwd=tmp_path, expect=1)
    assert "loyalty migrate" in said.stderr
    assert "applied migrations/0001_ledger.sql" in loyalty(empty_database_url, "migrate", cwd=tmp_path).stdout
    assert "up to date" in loyalty(empty_database_url, "migrate", cwd=tmp_path).stdout
    loyalty(empty_database_url, "expire", cwd=tmp_path)


@pytest.mark.parametrize(
    ("url", "tells"),
    [("postgresql://nobody@127.0.0.1:1/none", "cannot be reached"), ("mysql://x", "postgresql://user")],
)
def test_a_wrong_database_url_is_one_sentence(url: str, tells: str, tmp_path: Path) -> None:
    said = loyalty(url, "expire", cwd=tmp_path, expect=2 if url.startswith("mysql") else 1)
    assert tells in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


def test_a_misspelled_setting_is_noted(database_url: str, tmp_path: Path) -> None:
    said = loyalty(database_url, "keys", "list", cwd=tmp_path, DATABSE_URL="x")
    assert "LOYALTY_DATABASE_URL" in said.stderr


@pytest.mark.slow
def test_without_settings_commands_share_the_embedded_postgres_of_their_folder(tmp_path: Path) -> None:
    made = loyalty(None, "import", write(tmp_path / "till.csv", many_rows(20, 3)), cwd=tmp_path)
    assert f"There is no ledger in {tmp_path / '.loyalty'}: making a new one." in made.stderr
    said = loyalty(None, "report", "liability", "--json", cwd=tmp_path)
    assert msgspec.json.decode(said.stdout)["members"] == 3
    assert "new one" not in said.stderr
