"""What a printed report says: the text of a PDF, as a reader would copy it."""

import re
import zlib
from base64 import a85decode

_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_SHOWN = re.compile(rb"/(F\d+(?:\+\d+)?) [\d.]+ Tf|\(((?:\\.|[^\\()])*)\) Tj", re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_FONT = re.compile(rb"/(F\d+(?:\+\d+)?) (\d+) 0 R")
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def text_of_pdf(pdf: bytes) -> str:
    """Return the text of a PDF that reportlab wrote, in the order it is drawn."""
    wide = _wide_fonts(pdf)
    return "\n".join(_page_text(_opened(stream), wide) for stream in _STREAM.findall(pdf))


def _wide_fonts(pdf: bytes) -> set[bytes]:
    """Return the names of the fonts whose text is UTF-16: those for Chinese."""
    return {
        name
        for name, number in _FONT.findall(pdf)
        if b"/UniGB-UCS2-H" in pdf.split(b"\n%s 0 obj" % number, 1)[1].split(b"endobj", 1)[0]
    }


def _opened(stream: bytes) -> bytes:
    return zlib.decompress(a85decode(stream.strip().removesuffix(b"~>")))


def _page_text(page: bytes, wide: set[bytes]) -> str:
    font, shown = b"", list[str]()
    for named, text in _SHOWN.findall(page):
        if named:
            font = named
            continue
        plain = _ESCAPED.sub(_unescaped, text)
        shown.append(plain.decode("utf-16-be" if font in wide else "cp1252"))
    return "\n".join(shown)


def _unescaped(match: re.Match[bytes]) -> bytes:
    escaped = match[1]
    return bytes([int(escaped, 8)]) if len(escaped) == 3 else _PLAIN.get(escaped, escaped)
