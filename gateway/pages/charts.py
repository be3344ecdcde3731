"""Charts drawn on the server: geometry here, marks in ``charts.html``, no script. Pure.

Sources: WCAG 2.2, success criteria 1.1.1 and 1.4.1: what is drawn stands there as a table
too, and nothing is told by colour alone; SVG Accessibility API Mappings 1.0 for title and
description. Colours come from the style sheet, so that they follow light and dark; the
pages' policy allows no inline style, and none is used. Lengths are whole units of the
drawing's own, so that the same numbers draw the same chart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

WIDTH: Final = 1_000
HEIGHT: Final = 400
_MOST_LABELS: Final = 6
_WIDEST: Final = 90
_WHOLE: Final = 1_000

Kind = Literal["bars", "lines"]


class Series(NamedTuple):
    """What is measured at each place of a chart; as many values as the chart has labels."""

    name: str
    values: Sequence[int]


class Bar(NamedTuple):
    """A rectangle; ``series`` is the number of what it measures, from 0."""

    x: int
    y: int
    width: int
    height: int
    series: int


class Line(NamedTuple):
    """A line through points "x,y x,y ..."."""

    points: str
    series: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, drawn and as a table.

    ``chart_id`` is unique in its page; ``told`` says in a sentence what is to be seen.
    ``scale`` tells the values at the top, the middle and the bottom of the drawing, ``places``
    what stands below each of its places, "" where there is no room; both are texts of the page,
    not of the drawing, so that they are as large as any. ``rows`` are a label and a value in
    words for each of ``columns``.
    """

    chart_id: str
    title: str
    told: str
    bars: Sequence[Bar]
    lines: Sequence[Line]
    scale: Sequence[str]
    places: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def names(self) -> Sequence[str]:
        """What is measured, in the order of the drawing's colours."""
        return self.columns[1:]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.rows


class Measure(NamedTuple):
    """One row of `Measures`: ``value`` in words is ``told``, ``part`` its length, of 1,000."""

    label: str
    value: int
    told: str
    part: int = 0


class Measures(NamedTuple):
    """A table whose rows carry a bar each, the longest the whole width."""

    title: str
    what: str
    how_much: str
    rows: Sequence[Measure]


def measures(title: str, what: str, how_much: str, rows: Sequence[Measure]) -> Measures:
    """Return ``rows`` with the lengths of their bars; ``what`` and ``how_much`` head the columns."""
    most = max((row.value for row in rows), default=0)
    return Measures(
        title,
        what,
        how_much,
        [row._replace(part=_part(row.value, most)) for row in rows],
    )


def bar_chart(
    chart_id: str,
    title: str,
    told: str,
    over: str,
    labels: Sequence[str],
    series: Sequence[Series],
    say: Callable[[int], str],
) -> Chart:
    """Return a bar for each label, the series of one stacked upon each other.

    ``over`` names what the labels are, ``say`` tells a value in words. Values are 0 or more.
    """
    totals = [sum(each.values[place] for each in series) for place in range(len(labels))]
    top = _round_up(max(totals, default=0))
    bars: list[Bar] = []
    for place in range(len(labels)):
        x, width = _slot(place, len(labels))
        base = 0
        for number, each in enumerate(series):
            value = each.values[place]
            if value:
                bottom = _y(base, top)
                # What is there is seen, however little it is.
                y = min(_y(base + value, top), bottom - 1)
                bars.append(Bar(x, y, width, bottom - y, number))
            base += value
    return _chart(chart_id, title, told, over, labels, series, say, top, bars, ())


def line_chart(
    chart_id: str,
    title: str,
    told: str,
    over: str,
    labels: Sequence[str],
    series: Sequence[Series],
    say: Callable[[int], str],
) -> Chart:
    """Return a line for each series; see `bar_chart`."""
    top = _round_up(max((value for each in series for value in each.values), default=0))
    lines = [
        Line(
            " ".join(
                f"{_middle(place, len(labels))},{_y(value, top)}"
                for place, value in enumerate(each.values)
            ),
            number,
        )
        for number, each in enumerate(series)
    ]
    return _chart(chart_id, title, told, over, labels, series, say, top, (), lines)


def _chart(
    chart_id: str,
    title: str,
    told: str,
    over: str,
    labels: Sequence[str],
    series: Sequence[Series],
    say: Callable[[int], str],
    top: int,
    bars: Sequence[Bar],
    lines: Sequence[Line],
) -> Chart:
    return Chart(
        chart_id=chart_id,
        title=title,
        told=told,
        bars=bars,
        lines=lines,
        scale=[say(value) for value in (top, top // 2, 0)],
        places=_places(labels),
        columns=[over, *(each.name for each in series)],
        rows=[
            [label, *(say(each.values[place]) for each in series)]
            for place, label in enumerate(labels)
        ],
    )


def _places(labels: Sequence[str]) -> list[str]:
    """Return the labels, but "" for those there is no room for, evenly spread."""
    step = -(-len(labels) // _MOST_LABELS) or 1
    return ["" if place % step else label for place, label in enumerate(labels)]


def _slot(place: int, places: int) -> tuple[int, int]:
    """Return left edge and width of a bar: three quarters of its place, one unit at least; where places
    are few, no wider than a bar looks."""
    left = WIDTH * place // places
    room = WIDTH * (place + 1) // places - left
    width = min(max(room * 3 // 4, 1), _WIDEST)
    return left + (room - width) // 2, width


def _middle(place: int, places: int) -> int:
    return WIDTH * (2 * place + 1) // (2 * places)


def _y(value: int, top: int) -> int:
    return HEIGHT - HEIGHT * value // top


def _part(value: int, most: int) -> int:
    return max(_WHOLE * value // most, 1) if value > 0 else 0


def _round_up(value: int) -> int:
    """Return the least of 2, 4 and 10 times a power of ten that is not below ``value``: even,
    so that its half is whole."""
    power = 1
    while True:
        for factor in (2, 4, 10):
            if value <= factor * power:
                return factor * power
        power *= 10
