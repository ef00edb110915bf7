"""Charts as SVG text: horizontal bars, readable on light and dark pages."""

from collections.abc import Sequence
from html import escape

WIDTH = 900
LABEL = 360
ROW = 28
GOOD, BAD, NEUTRAL, INK, PALE = "#1f7a4d", "#b3432b", "#3b6ea5", "#222222", "#e4e4e0"
_HALO = "stroke='#ffffff' stroke-width='4' paint-order='stroke'"
_FONT = "font-family='system-ui, sans-serif'"


def bars(
    title: str,
    rows: Sequence[tuple[str, float, str, str]],
    *,
    mark: float | None = None,
    mark_label: str = "",
) -> str:
    """Rows of (label, length, text beside the bar, colour). `mark` draws a line across at that length."""
    top, height = 54, 54 + ROW * len(rows) + 22
    most = max([row[1] for row in rows] + [mark or 0.0]) or 1.0
    room = WIDTH - LABEL - 150
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' role='img'"
        f" aria-label='{escape(title, quote=True)}'>",
        f"<rect width='{WIDTH}' height='{height}' rx='8' fill='#ffffff' stroke='{PALE}'/>",
        f"<text x='20' y='30' {_FONT} font-size='16' font-weight='600' fill='{INK}'>{escape(title)}</text>",
    ]
    if mark is not None:
        x, bottom = LABEL + mark / most * room, top + ROW * len(rows)
        parts.append(
            f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{top - 4}' y2='{bottom + 2}' stroke='{INK}' stroke-width='1.5'"
            f" stroke-dasharray='4 3'/><text x='{x:.1f}' y='{bottom + 15}' {_FONT} font-size='11' fill='{INK}'"
            f" text-anchor='middle'>{escape(mark_label)}</text>"
        )
    for number, (label, length, text, colour) in enumerate(rows):
        y = top + ROW * number
        drawn = max(2.0, length / most * room)
        parts.append(
            f"<text x='{LABEL - 10}' y='{y + 17}' {_FONT} font-size='13' fill='{INK}' text-anchor='end'>{escape(label)}"
            f"</text><rect x='{LABEL}' y='{y + 4}' width='{drawn:.1f}' height='18' rx='2' fill='{colour}'/>"
            f"<text x='{LABEL + drawn + 8:.1f}' y='{y + 17}' {_FONT} font-size='13' fill='{INK}' {_HALO}>{escape(text)}"
            "</text>"
        )
    return "\n".join([*parts, "</svg>", ""])
