"""Each bug that the simulation is tried on can still be planted: its text stands in the code, once."""

from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_its_text_stands_in_the_code_once(bug: Bug) -> None:
    for change in bug.changes():
        assert (ROOT / change.file).read_text().count(change.old) == 1, change.file
        assert change.new != change.old
