"""How a report looks: fonts, styles, the frame of each page."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER
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
_INK, _QUIET, _HAIR, _PANEL = map(HexColor, ("#1b1f24", "#4b5563", "#c4cad3", "#f3f5f8"))

registerFont(UnicodeCIDFont(FONT))


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    usual: dict[str, Any] = {
        "fontName": FONT,
        "fontSize": size,
        "leading": size * 1.5,
        "wordWrap": "CJK",
        "textColor": _INK,
    }
    return ParagraphStyle(name, **(usual | more))


BODY: Final = _style("body", 9.5)
QUIET: Final = _style("quiet", 8.5, textColor=_QUIET)
TITLE: Final = _style("title", 22, alignment=TA_CENTER, leading=28)
SUBTITLE: Final = _style("subtitle", 10.5, alignment=TA_CENTER, textColor=_QUIET)
SECTION: Final = _style("section", 13, spaceBefore=12, spaceAfter=5, keepWithNext=1)
RECORD: Final = _style("record", 10.5, spaceBefore=8, spaceAfter=3, keepWithNext=1)
CODE: Final = _style("code", 7.5, fontName=CODE_FONT, leading=10.5)


def text(words: str, style: ParagraphStyle = BODY) -> Paragraph:
    """Return words as they are: nothing in them is markup, and no character is lost.

    What the font for Chinese has not is set in another, or named by its code point.
    """
    return Paragraph("".join(map(_run, words)), style)


@cache
def _run(character: str) -> str:
    if character == "\n":
        return "<br/>"
    if character < " ":
        return f"〔U+{ord(character):04X}〕"
    if _writes("gbk", character):
        return escape(character)
    if _writes("cp1252", character):
        return f'<font name="{_LATIN_FONT}">{escape(character)}</font>'
    return f"〔U+{ord(character):04X}〕"


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
    table.setStyle(TableStyle([*_LINES, ("BACKGROUND", (0, 0), (0, -1), _PANEL)]))
    return table


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float]) -> Table:
    """Return a table below its head, which is repeated on each page; ``widths`` are shares."""
    table = Table(
        [[text(each, QUIET) for each in head], *([text(each) for each in row] for row in rows)],
        colWidths=[WIDTH * share for share in widths],
        repeatRows=1,
    )
    table.setStyle(TableStyle([*_LINES, ("BACKGROUND", (0, 0), (-1, 0), _PANEL)]))
    return table


_LINES: Final = (
    ("GRID", (0, 0), (-1, -1), 0.5, _HAIR),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("TOPPADDING", (0, 0), (-1, -1), 3),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
)


class PagedCanvas(Canvas):
    """A canvas whose pages say which of how many each is; ``foot`` is what else they say."""

    def __init__(self, *args: Any, foot: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._foot = foot
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
            self.setFillColor(_QUIET)
            self.drawString(MARGIN, 10 * mm, self._foot)
            self.drawRightString(A4[0] - MARGIN, 10 * mm, f"第 {number} 页，共 {total} 页")
            super().showPage()
        super().save()
