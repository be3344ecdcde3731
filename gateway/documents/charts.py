"""Charts of printed statements: horizontal bars, drawn by reportlab, told by words too."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase.pdfmetrics import stringWidth

from gateway.printing.style import FAINT, FONT, HAIR, INK, WIDTH, drawn
from gateway.settle.explain import yuan

MOST_BARS: Final = 10
_ROW: Final = 18.0
_BAR: Final = 10.0
_SIZE: Final = 8.5
_LABELS: Final = WIDTH * 0.38
_AMOUNTS: Final = WIDTH * 0.2
_OWED, _GIVEN_BACK = map(HexColor, ("#1f5fa8", "#b4532a"))


class Bar(NamedTuple):
    """An amount, micro-yuan, and what it is of."""

    label: str
    amount: int


def largest(amounts: dict[str, int], other: str) -> list[Bar]:
    """Return the largest amounts first, those beyond `MOST_BARS` together as ``other``."""
    ordered = sorted(amounts.items(), key=lambda each: (-abs(each[1]), each[0]))
    kept, rest = ordered[:MOST_BARS], ordered[MOST_BARS:]
    bars = [Bar(*each) for each in kept if each[1]]
    return [*bars, Bar(other, sum(amount for _, amount in rest))] if rest else bars


def bar_chart(bars: Sequence[Bar]) -> Drawing:
    """Return bars one below the other, each with its label and its amount in yuan.

    What is negative goes to the left of the line and has another colour.
    """
    height = _ROW * len(bars)
    drawing = Drawing(WIDTH, height)
    least = min(0, *(bar.amount for bar in bars))
    span = max(0, *(bar.amount for bar in bars)) - least or 1
    room = WIDTH - _LABELS - _AMOUNTS
    zero = _LABELS + room * -least / span
    for place, (label, amount) in enumerate(bars):
        middle = height - _ROW * (place + 0.5)
        below = middle - _SIZE / 3
        length = room * abs(amount) / span
        drawing.add(_words(0, below, _fitted(drawn(label)), "start"))
        drawing.add(
            _filled(
                Rect(zero if amount >= 0 else zero - length, middle - _BAR / 2, length, _BAR),
                _OWED if amount >= 0 else _GIVEN_BACK,
            )
        )
        drawing.add(_words(WIDTH, below, yuan(amount), "end"))
    drawing.add(Line(zero, 0, zero, height, strokeColor=HAIR, strokeWidth=0.8))
    return drawing


def _filled(bar: Rect, colour: Color) -> Rect:
    bar.fillColor = colour
    bar.strokeColor = None
    return bar


def _words(x: float, y: float, words: str, anchor: Literal["start", "end"]) -> String:
    colour = INK if anchor == "start" else FAINT
    return String(x, y, words, fontName=FONT, fontSize=_SIZE, fillColor=colour, textAnchor=anchor)


def _fitted(label: str) -> str:
    """Return as much of a label as there is room for."""
    room = _LABELS - _SIZE
    if stringWidth(label, FONT, _SIZE) <= room:
        return label
    while label and stringWidth(label + "…", FONT, _SIZE) > room:
        label = label[:-1]
    return label + "…"
