"""`loyalty rewards` and `loyalty report rewards`: the catalogue from a file, its stock, and mistakes."""

from pathlib import Path

import msgspec

from tests.e2e.shell import loyalty

CATALOGUE = """
[[rewards]]
id = "desk-lamp"
name = "Desk lamp"
kind = "gift"
points = 300
until = 2099-01-01

[[rewards]]
id = "ten-off"
name = "10.00 off"
kind = "cash"
points = 1000
amount = 1000
unlimited = true
"""


def test_the_catalogue_is_put_from_a_file_and_stocked(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "rewards.toml"

    def put(text: str) -> list[str]:
        file.write_text(text)
        return loyalty(database_url, "rewards", "put", file, cwd=tmp_path).stdout.splitlines()

    assert put(CATALOGUE) == ["desk-lamp: made, version 1", "ten-off: made, version 1"]
    assert put(CATALOGUE.replace("= 300", "= 250")) == [
        "desk-lamp: changed, version 2",
        "ten-off: as it was, version 1",
    ]
    stock = ("rewards", "stock", "desk-lamp")
    said = loyalty(database_url, *stock, "20", "--id", "D-1", cwd=tmp_path)
    assert (said.stdout, said.stderr) == ("desk-lamp: +20, 20 in stock\n", "")
    again = loyalty(database_url, *stock, "20", "--id", "D-1", cwd=tmp_path)
    assert (again.stdout, again.stderr) == (said.stdout, "D-1 was recorded before: nothing was moved.\n")
    broken = loyalty(database_url, *stock, "-3", "--id", "D-2", "--reason", "broke", cwd=tmp_path)
    assert broken.stdout == "desk-lamp: -3, 17 in stock\n"
    too_many = loyalty(database_url, *stock, "-18", "--id", "D-3", cwd=tmp_path, expect=1)
    assert too_many.stderr == "18 were to be taken and 17 are left.\n"

    shown = loyalty(database_url, "rewards", "list", cwd=tmp_path).stdout.splitlines()
    (lamp,) = [line.split() for line in shown if "desk-lamp" in line]
    assert lamp == ["desk-lamp", "gift", "250", "17", "all", "2099-01-01"]
    (cash,) = [line.split() for line in shown if "ten-off" in line]
    assert cash == ["ten-off", "cash", "1,000", "10.00", "CNY", "no", "end", "all"]
    listed = loyalty(database_url, "rewards", "list", "--json", cwd=tmp_path).stdout.splitlines()
    assert [(one["reward_id"], one["stock"]) for one in map(msgspec.json.decode, listed)] == [
        ("desk-lamp", 17),
        ("ten-off", None),
    ]
    report = loyalty(database_url, "report", "rewards", cwd=tmp_path).stdout
    assert [line.split() for line in report.splitlines() if "ten-off" in line] == [
        ["ten-off", *"000000", "0.00", "CNY"]
    ]
    told = msgspec.json.decode(loyalty(database_url, "report", "rewards", "--json", cwd=tmp_path).stdout)
    assert [one["reward_id"] for one in told["rewards"]] == ["desk-lamp", "ten-off"]


def test_a_wrong_catalogue_changes_nothing(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "rewards.toml"
    for wrong, code, said in (
        (
            CATALOGUE.replace("amount = 1000\n", ""),
            1,
            "ten-off: amount: is what a cash reward is worth: add it",
        ),
        (
            CATALOGUE.replace("points = 1000", "point = 1000"),
            2,
            "ten-off: Object contains unknown field `point`",
        ),
        (CATALOGUE.replace('"ten-off"', '"desk-lamp"'), 2, "desk-lamp is there twice"),
        (CATALOGUE.replace('id = "ten-off"\n', ""), 2, "reward 2: Object missing required field `id`"),
        ("[rewards]\n", 2, "should hold a [[rewards]] for each"),
        ("[[rewards]\n", 2, "is not TOML"),
    ):
        file.write_text(wrong)
        told = loyalty(database_url, "rewards", "put", file, cwd=tmp_path, expect=code)
        assert said in told.stderr
    assert loyalty(database_url, "rewards", "list", "--json", cwd=tmp_path).stdout == ""
