"""Words that somebody writes and others read on a page: one line, drawn in its own place."""

import unicodedata
from itertools import groupby
from typing import Final

MOST_MARKS: Final = 4
"""Most combining marks after a character: as many as Tibetan and Sanskrit words take. More
are drawn over the lines around, which are not the writer's."""

# Letters by their category that show nothing: the fillers of Hangul (Unicode 15.0, property
# Default_Ignorable_Code_Point).
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")


def fault(text: str) -> str | None:
    """Return how to mend ``text`` so that it can stand on a page among the words of others;
    None where it can. Nothing at all can."""
    # What is not printable could make other words of it on the page.
    if not text.isprintable():
        return "use printable characters, in one line"
    if text and not any(each.isalnum() and each not in _FILLERS for each in text):
        return "use words: a letter, digit or ideograph at least"
    if any(marks and sum(1 for _ in run) > MOST_MARKS for marks, run in groupby(text, _is_mark)):
        return f"use at most {MOST_MARKS} combining marks after a character"
    return None


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")
