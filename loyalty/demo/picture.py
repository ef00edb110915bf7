"""The picture at the end: a year of points by month, who is where, and whether the books are right."""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from msgspec import Struct
from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from loyalty.currency import shown
from loyalty.demo.replay import Month, Story

WIDEST = 104
_ROOMY = 92
_FONT_FACE = re.compile(r"\s*@font-face \{[^}]*\}")
_EIGHTHS = " ▏▎▍▌▋▊▉"
_ISSUED, _REDEEMED, _EXPIRED, _OUTSTANDING = "#35c9a5", "#5aa9ff", "#ff7a85", "#f5c451"
_QUIET = "#8a93a6"
_MONTH_WIDTH, _FIGURE_WIDTH, _GAP = 6, 5, 2
_TIERS = ("#7a5c45", "#b9c2d0", "#f2b632", "#b79cff")


class Ending(Struct, frozen=True):
    """What the picture shows beside the story: `tiers` by name, lowest first."""

    tiers: Sequence[str]
    outstanding: int
    worth_amount: int
    currency: str
    clean: bool
    audit: str


def console_width(terminal: int) -> int:
    """Columns of the picture on a terminal that wide."""
    return max(80, min(terminal, WIDEST))


def picture(story: Story, ending: Ending, width: int) -> RenderableType:
    """The whole picture, `width` columns wide."""
    return Panel(
        Group(
            _headline(story),
            Text(),
            _months(story.months, width - 6),
            Text(),
            _legend(story, ending.tiers, shares=width >= _ROOMY),
            Text(),
            _verdict(ending),
        ),
        title=Text(" Corner Store Club · 2017 ", style="bold"),
        border_style=_QUIET,
        padding=(1, 2),
        width=width,
    )


def export_svg(shown_picture: RenderableType, width: int, path: str) -> None:
    """Write the picture as an SVG, as it looks in a terminal."""
    console = Console(
        record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(shown_picture)
    picture = console.export_svg(title="loyalty demo")
    # The picture asks no other host for its letters: every machine has some of fixed width.
    Path(path).write_text(_FONT_FACE.sub("", picture), encoding="utf-8")


def _headline(story: Story) -> Text:
    paid = story.redeemed_at_till + story.holds_captured
    parts = (
        (story.members, "members"),
        (story.baskets, "baskets"),
        (paid, "paid with points"),
        (story.returns, "returns"),
    )
    text = Text(justify="center")
    for number, what in parts:
        text.append("   " if text else "")
        text.append(f"{number:,}", style="bold")
        text.append(f" {what}", style=_QUIET)
    return text


def _months(months: Sequence[Month], width: int) -> Table:
    columns = (
        ("issued", _ISSUED),
        ("redeemed", _REDEEMED),
        ("expired", _EXPIRED),
        ("outstanding", _OUTSTANDING),
    )
    each = (width - _MONTH_WIDTH) // (len(columns) + 1) - _GAP
    table = Table(box=None, padding=(0, _GAP, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("", style=_QUIET, width=_MONTH_WIDTH - _GAP)
    for name, colour in columns:
        table.add_column(name, header_style=f"bold {colour}", width=each)
    table.add_column("members", header_style="bold", width=each)
    # What moves is drawn to one scale, so that one sees what becomes of the points; what stands has its own.
    standing = max((month.outstanding for month in months), default=0)
    moved = max((max(month.issued, month.redeemed, month.expired) for month in months), default=0)
    people = max((sum(month.tiers) for month in months), default=0)
    for month in months:
        cells = [
            _bar(getattr(month, name), standing if name == "outstanding" else moved, each, colour)
            for name, colour in columns
        ]
        table.add_row(f"{month.first:%b}", *cells, _strip(month.tiers, people, each))
    return table


def _bar(value: int, most: int, width: int, colour: str) -> Text:
    eighths = round(value * (width - _FIGURE_WIDTH - 1) * 8 / most) if most else 0
    full, rest = divmod(max(eighths, 1 if value else 0), 8)
    text = Text(f"{_short(value):>{_FIGURE_WIDTH}} ", style="default" if value else _QUIET)
    text.append("█" * full + (_EIGHTHS[rest] if rest else ""), style=colour)
    return text


def _short(value: int) -> str:
    """At most five characters: 912, 27.6k, 1.23M."""
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= limit * 0.9995:  # what would be shown as 1000k is 1.00M
            figure = value / limit
            return f"{figure:.{2 if figure < 10 else 1 if figure < 100 else 0}f}{unit}"
    return str(value)


def _strip(tiers: Sequence[int], people: int, width: int) -> Text:
    """How many members there are and, by colour, in which tiers."""
    text = Text()
    used = 0
    for place in range(len(tiers)):
        until = round(width * sum(tiers[: place + 1]) / people) if people else 0
        text.append("█" * (until - used), style=_TIERS[place % len(_TIERS)])
        used = until
    return text


def _legend(story: Story, tiers: Sequence[str], *, shares: bool) -> Text:
    counts = story.months[-1].tiers if story.months else ()
    everybody = max(1, sum(counts))
    text = Text(justify="center")
    for place, (tier, count) in enumerate(zip(tiers, counts, strict=False)):
        text.append("██ ", style=_TIERS[place % len(_TIERS)])
        text.append(f"{tier} ", style="bold")
        text.append(f"{count:,}")
        text.append(f" ({count / everybody:.0%})   " if shares else "   ", style=_QUIET)
    text.append(f"▲ {story.rose:,} rose ", style=_ISSUED)
    text.append(f"▼ {story.fell:,} fell", style=_EXPIRED)
    return text


def _verdict(ending: Ending) -> RenderableType:
    owed = Text.assemble(
        (f"{ending.outstanding:,}", f"bold {_OUTSTANDING}"),
        (" points outstanding, worth ", _QUIET),
        (shown(ending.worth_amount, ending.currency), "bold"),
    )
    mark = ("✔ audit: ", "bold green") if ending.clean else ("✘ audit: ", "bold red")
    return Group(Align.center(owed), Align.center(Text.assemble(mark, (ending.audit, "default"))))
