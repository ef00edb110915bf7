"""Charts as SVG text: bars side by side, lines, bars to both sides. Nothing is fetched from anywhere. Pure."""

from collections.abc import Callable, Sequence
from html import escape

from msgspec import Struct

NOW, THEN, UP, DOWN = "var(--now)", "var(--then)", "var(--up)", "var(--down)"
_WIDTH, _HEIGHT = 560, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 26, 10, 30
_LABELS = 7
"""Labels that fit below a chart."""

Show = Callable[[int], str]


class Series(Struct, frozen=True):
    """One row of values, in integers; `colour` as CSS says it."""

    name: str
    colour: str
    values: Sequence[int]


def bars(labels: Sequence[str], series: Sequence[Series], show: Show) -> str:
    """Values of several series side by side, one group a label. All from zero up; below zero hangs down."""
    low = min(0, *(value for one in series for value in one.values))
    high = max(1, *(value for one in series for value in one.values))
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    width = min(26.0, step * 0.8 / len(series))
    y = _scale(low, high)
    parts = _grid(ticks, y, show)
    for place, label in enumerate(labels):
        middle = _LEFT + step * (place + 0.5)
        for at, one in enumerate(series):
            value = one.values[place]
            top, bottom = sorted((y(value), y(0)))
            x = middle + (at - len(series) / 2) * width
            parts.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{width - 1:.1f}" height="{max(bottom - top, 0.5):.1f}" rx="2"'
                f' fill="{one.colour}"><title>{escape(label)}, {escape(one.name)}: {escape(show(value))}</title></rect>'
            )
    parts += _below(labels, lambda place: _LEFT + step * (place + 0.5))
    return _svg(parts)


def lines(labels: Sequence[str], series: Sequence[Series], show: Show) -> str:
    """How values of several series go from label to label."""
    low = min(0, *(value for one in series for value in one.values))
    high = max(1, *(value for one in series for value in one.values))
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    y = _scale(low, high)
    span = _WIDTH - _LEFT - _RIGHT
    last = max(len(labels) - 1, 1)

    def x(place: int) -> float:
        return _LEFT + span * (place / last if len(labels) > 1 else 0.5)

    parts = _grid(ticks, y, show)
    for one in series:
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(one.values))
        area = f"{x(0):.1f},{y(0):.1f} {points} {x(len(one.values) - 1):.1f},{y(0):.1f}"
        parts.append(f'<polygon points="{area}" fill="{one.colour}" opacity="0.12"/>')
        parts.append(f'<polyline points="{points}" fill="none" stroke="{one.colour}" stroke-width="2.5"/>')
        for place, value in enumerate(one.values):
            parts.append(
                f'<circle cx="{x(place):.1f}" cy="{y(value):.1f}" r="3" fill="{one.colour}">'
                f"<title>{escape(labels[place])}, {escape(one.name)}: {escape(show(value))}</title></circle>"
            )
    parts += _below(labels, x)
    return _svg(parts)


def rows(names: Sequence[str], series: Sequence[Series], show: Show) -> str:
    """Lying bars, one group a name, with their values written beside them."""
    high = max(1, *(abs(value) for one in series for value in one.values))
    left, right, thick = 150, 60, 12
    height = len(names) * (thick * len(series) + 14) + 8
    scale = (_WIDTH - left - right) / high
    parts = []
    for place, name in enumerate(names):
        top = 8 + place * (thick * len(series) + 14)
        middle = top + thick * len(series) / 2 + 4
        parts.append(
            f'<text x="{left - 10}" y="{middle:.0f}" text-anchor="end" class="name">{escape(_short(name))}</text>'
        )
        for at, one in enumerate(series):
            value = one.values[place]
            y = top + at * thick
            parts.append(
                f'<rect x="{left}" y="{y}" width="{max(abs(value) * scale, 0.5):.1f}" height="{thick - 2}" rx="2"'
                f' fill="{one.colour}"/>'
            )
            parts.append(
                f'<text x="{left + abs(value) * scale + 6:.1f}" y="{y + thick - 3}">{escape(show(value))}</text>'
            )
    return _svg(parts, height)


def sides(names: Sequence[str], values: Sequence[int], signs: Sequence[int]) -> str:
    """Lying bars of counts, coloured by sign: what loses, what stays, what wins."""
    high = max(1, *values)
    left, right, thick = 150, 60, 16
    height = len(names) * (thick + 8) + 8
    scale = (_WIDTH - left - right) / high
    parts = []
    for place, (name, value, sign) in enumerate(zip(names, values, signs, strict=True)):
        y = 6 + place * (thick + 8)
        colour = UP if sign > 0 else DOWN if sign < 0 else "var(--quiet)"
        parts.append(
            f'<text x="{left - 10}" y="{y + 12}" text-anchor="end" class="name">{escape(name)}</text>'
            f'<rect x="{left}" y="{y}" width="{max(value * scale, 1):.1f}" height="{thick}" rx="3" fill="{colour}"/>'
            f'<text x="{left + value * scale + 6:.1f}" y="{y + 12}">{value:,}</text>'
        )
    return _svg(parts, height)


def _svg(parts: Sequence[str], height: int = _HEIGHT) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def _scale(low: int, high: int) -> Callable[[int], float]:
    room = _HEIGHT - _TOP - _BOTTOM
    return lambda value: _TOP + room * (high - value) / (high - low)


def _ticks(low: int, high: int) -> list[int]:
    """About four round numbers from at most `low` to at least `high`."""
    step = 1
    while (high - low) / step > 5:
        digits = 10 ** (len(str(step)) - 1)
        step = {1: 2, 2: 5, 5: 10}[step // digits] * digits
    first, last = low // step, -(-high // step)
    return [number * step for number in range(first, last + 1)]


def _grid(ticks: Sequence[int], y: Callable[[int], float], show: Show) -> list[str]:
    return [
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"'
        f' class="{"grid" if tick else "zero"}"/>'
        f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{escape(show(tick))}</text>'
        for tick in ticks
    ]


def _below(labels: Sequence[str], x: Callable[[int], float]) -> list[str]:
    every = -(-len(labels) // _LABELS)
    return [
        f'<text x="{x(place):.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(label)}</text>'
        for place, label in enumerate(labels)
        if place % every == 0
    ]


def _short(name: str, most: int = 20) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
