"""A PDF made of parts that flow over its pages: the same bytes each time."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO

from reportlab.lib.pagesizes import A4
from reportlab.platypus import Flowable, SimpleDocTemplate

from gateway.printing.style import FONT, MARGIN, PagedCanvas


def pdf(
    parts: Sequence[Flowable],
    *,
    title: str,
    author: str,
    subject: str,
    language: str,
    foot: str,
    numbered: str,
) -> bytes:
    """Return a PDF file.

    ``title``, ``author`` and ``subject`` are what it says of itself, ``language`` (BCP 47) is
    told to who reads it aloud. Each page has ``foot`` and ``numbered`` below, which names
    {number} and {total}.
    """
    file = BytesIO()
    template = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=title,
        author=author,
        subject=subject,
        creator="creditgate",
        lang=language,
        initialFontName=FONT,
        invariant=1,
    )
    template.build(list(parts), canvasmaker=partial(PagedCanvas, foot=foot, numbered=numbered))
    return file.getvalue()
