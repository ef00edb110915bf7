"""Work that is shared by processes ends with the error that came first."""

import time
from collections.abc import Iterator

import pytest

from loyalty.processes import Processes, ready


def start() -> None:
    """As a process that works for its parent begins."""
    ready()


def fail(number: int) -> None:
    """Stands for work on a connection that the first failure breaks for all that follow."""
    raise ValueError(number)


async def test_of_several_errors_the_one_of_the_first_piece_is_told() -> None:
    """A parent that is slow to look found the error of a later piece, which said only that one came before."""

    def pieces() -> Iterator[int]:
        yield from range(2)
        time.sleep(0.3)  # both have failed by now
        yield 2

    with Processes(1, start) as processes:
        for _ in range(8):
            with pytest.raises(ValueError, match="0"):
                async for _ in processes.share(fail, pieces()):
                    pass
