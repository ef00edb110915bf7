"""`loyalty program`: what changes is said in plain words, and editors get their schema."""

import json
from pathlib import Path

from loyalty.program.schema import schema
from tests.e2e.shell import loyalty
from tests.e2e.test_cli_commands import PROGRAM

DEARER = PROGRAM.replace("spend_amount = 10000", "spend_amount = 20000")
SAID = "silver now needs 200.00 instead of 100.00\n"


def test_two_files_are_compared_without_a_database(tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(PROGRAM)
    new.write_text(DEARER)
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    assert loyalty(nowhere, "program", "diff", old, new, cwd=tmp_path).stdout == SAID
    same = loyalty(nowhere, "program", "diff", old, old, cwd=tmp_path)
    assert (same.stdout, same.stderr) == ("", "Nothing changes.\n")
    new.write_text(DEARER.replace("spend_amount", "spent_amount"))
    assert "has errors" in loyalty(nowhere, "program", "diff", old, new, cwd=tmp_path, expect=1).stderr
    loyalty(nowhere, "program", "diff", cwd=tmp_path, expect=2)
    loyalty(nowhere, "program", "diff", old, new, old, cwd=tmp_path, expect=2)


def test_versions_are_compared_and_apply_says_what_it_changes(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(PROGRAM)
    loyalty(database_url, "program", "apply", file, cwd=tmp_path)
    file.write_text(DEARER)
    assert loyalty(database_url, "program", "diff", file, cwd=tmp_path).stdout == SAID
    applied = loyalty(database_url, "program", "apply", file, cwd=tmp_path)
    assert "Compared with version 2:\n  " + SAID in applied.stderr
    assert applied.stdout.startswith("Version 3 is in force")
    again = loyalty(database_url, "program", "apply", file, cwd=tmp_path)
    assert "in force already, as version 3: nothing was changed" in again.stdout
    loyalty(database_url, "program", "diff", "--version", "4", cwd=tmp_path, expect=1)
    assert loyalty(
        database_url, "program", "diff", "--version", "2", "--version", "3", cwd=tmp_path
    ).stdout == (SAID)
    assert loyalty(database_url, "program", "diff", "--version", "2", cwd=tmp_path).stdout == SAID
    assert loyalty(database_url, "program", "diff", "--version", "2", file, cwd=tmp_path).stdout == SAID
    loyalty(database_url, "program", "diff", "--version", "9", cwd=tmp_path, expect=1)


def test_the_schema_is_printed_as_json(tmp_path: Path) -> None:
    said = loyalty(None, "program", "schema", cwd=tmp_path).stdout
    assert json.loads(said) == schema()
