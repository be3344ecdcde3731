"""A curve on two logarithmic axes as an SVG picture, for the documents."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

_WIDTH: Final = 640
_HEIGHT: Final = 360
_MARGIN: Final = 64
_COLOURS: Final = ("#1f5fbf", "#b3541e")


def loglog(title: str, across: str, curves: Mapping[str, Mapping[float, float]]) -> str:
    """Return the picture of curves, each of positive values by positive places, that share the
    axis ``across``."""
    places = [math.log10(place) for points in curves.values() for place in points]
    values = [math.log10(value) for points in curves.values() for value in points.values()]
    left, right = math.floor(min(places)), math.ceil(max(places))
    low, high = math.floor(min(values)), math.ceil(max(values))

    def at(place: float, value: float) -> tuple[float, float]:
        x = _MARGIN + (place - left) / (right - left) * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - _MARGIN - (value - low) / (high - low) * (_HEIGHT - 2 * _MARGIN)
        return round(x, 1), round(y, 1)

    parts = [_text(_WIDTH / 2, 24, title), _text(_WIDTH / 2, _HEIGHT - 16, across)]
    for decade in range(left, right + 1):
        (x, bottom), (_, top) = at(decade, low), at(decade, high)
        parts += [_line([(x, bottom), (x, top)], "#ddd"), _text(x, bottom + 18, f"{10**decade:,}")]
    for decade in range(low, high + 1):
        (begin, y), (end, _) = at(left, decade), at(right, decade)
        label = f"{10**decade:,}" if decade >= 0 else f"{10.0**decade:g}"
        parts += [_line([(begin, y), (end, y)], "#ddd"), _text(begin - 32, y + 4, label)]
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[number]
        drawn = [at(math.log10(place), math.log10(value)) for place, value in points.items()]
        parts += [_line(drawn, colour), _text(_MARGIN + 90, 48 + 18 * number, name, colour)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
        f"<title>{title}</title>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _line(points: Sequence[tuple[float, float]], colour: str) -> str:
    joined = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _text(x: float, y: float, text: str, colour: str = "#222") -> str:
    return (
        f'<text x="{x}" y="{y}" fill="{colour}" font-family="sans-serif" font-size="12"'
        f' text-anchor="middle">{text}</text>'
    )
