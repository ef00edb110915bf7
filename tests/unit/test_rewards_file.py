"""The file of a catalogue: what it is read as, and the JSON Schema that editors complete it by."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from loyalty.rewards.file import read, schema
from loyalty.rewards.model import RewardTerms
from tests.json_schema import broken
from tests.unit.test_program_schema import tree

PAGE = (Path(__file__).parents[2] / "docs" / "REWARDS.md").read_text(encoding="utf-8")
SHOWN = dedent("".join(re.findall(r"^    \[\[rewards\]\]\n(?:    .+\n)+", PAGE, re.MULTILINE)))
SCHEMA = schema()


def test_the_file_that_is_shown_is_read_and_valid() -> None:
    lamp = read(SHOWN)["desk-lamp"]
    assert (type(lamp), lamp.points, lamp.tiers) == (RewardTerms, 300, ("silver", "gold"))
    assert broken(SCHEMA, tree(SHOWN)) == []


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('kind = "gift"', 'kind = "money"'),
        ("points = 300", "points = 0"),
        ("points = 300", "point = 300"),
        ('id = "desk-lamp"', 'id = "desk lamp"'),
        ('id = "desk-lamp"\n', ""),
        ("valid_days = 30", "valid_days = -1"),
        ('tiers = ["silver", "gold"]', 'tiers = "silver"'),
    ],
)
def test_what_is_misshapen_is_refused_by_both(said: str, instead: str) -> None:
    wrong = SHOWN.replace(said, instead)
    assert wrong != SHOWN
    assert broken(SCHEMA, tree(wrong))
    with pytest.raises(ValueError, match=r"desk.lamp|reward 1"):
        read(wrong)


def test_every_key_says_what_it_means_and_none_may_be_null() -> None:
    keys = SCHEMA["properties"]["rewards"]["items"]["properties"]
    assert keys.keys() == {"id", *RewardTerms.__struct_encode_fields__}
    assert all(key["description"] and "null" not in str(key) for key in keys.values())
