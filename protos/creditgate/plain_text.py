"""Words that somebody writes and others read on a page: drawn in their own place, and all seen."""

import re
import unicodedata
from itertools import groupby
from typing import Final

MOST_MARKS: Final = 4
"""Most combining marks after a character: as many as Tibetan and Sanskrit words take. More
are drawn over the lines around, which are not the writer's."""

# By their category letters, symbols or marks, and show nothing: the fillers of Hangul, the grapheme
# joiner and two vowels of Khmer (Unicode 15.0, property Default_Ignorable_Code_Point), and the
# braille pattern without dots. Selectors of variants are none: they choose how a letter looks.
FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Control and format characters, and separators of lines and paragraphs: on a page or in a
# document they change what is read, or make two texts of what looks like one.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
_LAID_OUT: Final = frozenset("\t\n")
# Of that property too, though nothing is assigned there.
_UNASSIGNED: Final = re.compile("[\u2065\ufff0-\ufff8\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]")
_FILLED: Final = re.compile(f"[{''.join(sorted(FILLERS))}]")
# Marks are neither words, blanks nor punctuation: a run of them is one of these, and little else is.
_RUN: Final = re.compile(
    rf"[^\w\s\x00-\x7f\u2000-\u206f\u3000-\u3029\u3030-\u303f\uff00-\uff65]{{{MOST_MARKS + 1}}}"
)


def fault(text: str) -> str | None:
    """Return how to mend ``text`` so that it can stand on a page among the words of others;
    None where it can. Nothing at all can."""
    # What is not printable could make other words of it on the page.
    if not text.isprintable():
        return "use printable characters, in one line"
    if text and not any(each.isalnum() and each not in FILLERS for each in text):
        return "use words: a letter, digit or ideograph at least"
    if _is_overdrawn(text):
        return f"use at most {MOST_MARKS} combining marks after a character"
    return None


def is_hidden_in(text: str) -> bool:
    """Tell whether something in ``text``, of any number of lines, is not seen where it stands:
    control and format characters, except tabs and line feeds, fillers, and marks drawn over what
    is around them."""
    if not text.isprintable() and (
        _UNASSIGNED.search(text) is not None
        or any(
            unicodedata.category(each) in _HIDDEN and each not in _LAID_OUT for each in set(text)
        )
    ):
        return True
    return _FILLED.search(text) is not None or _is_overdrawn(text)


def _is_overdrawn(text: str) -> bool:
    return _RUN.search(text) is not None and any(
        marks and sum(1 for _ in run) > MOST_MARKS for marks, run in groupby(text, _is_mark)
    )


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")
