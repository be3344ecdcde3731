"""How what is printed looks: fonts, styles, the frame of each page."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table, TableStyle

FONT: Final = "STSong-Light"
"""Of the fonts that every PDF reader has for Chinese: nothing is embedded."""
CODE_FONT: Final = "Courier"
_LATIN_FONT: Final = "Helvetica"
MARGIN: Final = 18 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
_LABEL_WIDTH: Final = 34 * mm
INK, FAINT, HAIR, PANEL = map(HexColor, ("#1b1f24", "#4b5563", "#c4cad3", "#f3f5f8"))

registerFont(UnicodeCIDFont(FONT))


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    usual: dict[str, Any] = {
        "fontName": FONT,
        "fontSize": size,
        "leading": size * 1.5,
        "wordWrap": "CJK",
        "textColor": INK,
    }
    return ParagraphStyle(name, **(usual | more))


BODY: Final = _style("body", 9.5)
QUIET: Final = _style("quiet", 8.5, textColor=FAINT)
TITLE: Final = _style("title", 22, alignment=TA_CENTER, leading=28)
SUBTITLE: Final = _style("subtitle", 10.5, alignment=TA_CENTER, textColor=FAINT)
SECTION: Final = _style("section", 13, spaceBefore=12, spaceAfter=5, keepWithNext=1)
RECORD: Final = _style("record", 10.5, spaceBefore=8, spaceAfter=3, keepWithNext=1)
NUMBER: Final = _style("number", 9.5, alignment=TA_RIGHT)
CODE: Final = _style("code", 7.5, fontName=CODE_FONT, leading=10.5)


def text(words: str, style: ParagraphStyle = BODY) -> Paragraph:
    """Return words as they are: nothing in them is markup, and no character is lost.

    What the font for Chinese has not is set in another, or named by its code point.
    """
    return Paragraph("".join(map(_run, words)), style)


def drawn(words: str) -> str:
    """Return words to be drawn in `FONT` alone: no character is lost, what it has not is named by its
    code point."""
    return "".join(map(_drawn, words))


@cache
def _drawn(character: str) -> str:
    if character >= " " and _writes("gbk", character):
        return character
    return f"〔U+{ord(character):04X}〕"


@cache
def _run(character: str) -> str:
    if character == "\n":
        return "<br/>"
    if character >= " " and not _writes("gbk", character) and _writes("cp1252", character):
        return f'<font name="{_LATIN_FONT}">{escape(character)}</font>'
    return escape(_drawn(character))


def _writes(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def code(words: str) -> Paragraph:
    """Return characters that are copied, not read; they may hold ASCII alone."""
    return text(words, CODE)


def pairs(rows: Sequence[tuple[str, Paragraph]]) -> Table:
    """Return names and what is told under each, in two columns."""
    table = Table(
        [[text(name, QUIET), told] for name, told in rows],
        colWidths=[_LABEL_WIDTH, WIDTH - _LABEL_WIDTH],
        # What is longer than a page goes on on the next.
        splitInRow=1,
    )
    table.setStyle(TableStyle([*_LINES, ("BACKGROUND", (0, 0), (0, -1), PANEL)]))
    return table


def columns(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[float],
    numbers: Collection[int] = (),
) -> Table:
    """Return a table below its head, which is repeated on each page; ``widths`` are shares.

    Columns of the indexes ``numbers`` stand to the right.
    """
    styles = [NUMBER if index in numbers else BODY for index in range(len(head))]
    table = Table(
        [
            [text(each, QUIET) for each in head],
            *([*map(text, row, styles)] for row in rows),
        ],
        colWidths=[WIDTH * share for share in widths],
        repeatRows=1,
        splitInRow=1,
    )
    table.setStyle(TableStyle([*_LINES, ("BACKGROUND", (0, 0), (-1, 0), PANEL)]))
    return table


_LINES: Final = (
    ("GRID", (0, 0), (-1, -1), 0.5, HAIR),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("TOPPADDING", (0, 0), (-1, -1), 3),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
)


class PagedCanvas(Canvas):
    """A canvas whose pages say which of how many each is, as ``numbered`` words it with {number}
    and {total}; ``foot`` is what else they say."""

    def __init__(self, *args: Any, foot: str, numbered: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._foot = foot
        self._numbered = numbered
        self._kept: list[Mapping[str, Any]] = []

    def showPage(self) -> None:
        """Put a page aside until it is known how many there are."""
        self._kept.append(dict(self.__dict__))
        self._startPage()  # pyright: ignore[reportAttributeAccessIssue]

    def save(self) -> None:
        """Write all pages."""
        total = len(self._kept)
        for number, page in enumerate(self._kept, 1):
            self.__dict__.update(page)
            self.setFont(FONT, 8)
            self.setFillColor(FAINT)
            self.drawString(MARGIN, 10 * mm, drawn(self._foot))
            told = self._numbered.format(number=number, total=total)
            self.drawRightString(A4[0] - MARGIN, 10 * mm, told)
            super().showPage()
        super().save()
