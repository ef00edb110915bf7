"""Tables on the command line, whole on any terminal and in a file: what is wider than the window wraps, none is cut."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDE = 400
"""Columns: wider than any table. Left to itself, rich cuts figures off at 80 where it writes into a file."""


def console() -> "Console":
    """Where results are printed."""
    from rich.console import Console

    return Console(highlight=False, width=_WIDE)


def table(first: str, *others: str, width: int = 14, title: str | None = None) -> "Table":
    """A table with a column of names and others, at least `width` wide, of figures."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column(first, min_width=18)
    for other in others:
        made.add_column(other, justify="right", min_width=width)
    return made
