"""Unified social credit codes (统一社会信用代码) to GB 32100-2015.

18 characters of a 31-letter alphabet (digits and capitals without I, O, S, V, Z):
registration authority, organisation class, six-digit district, nine-character
organisation code, and a check character by weights 3^i mod 31.
"""

import re
from operator import mul
from typing import Final

LENGTH: Final = 18
ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUE: Final = {character: value for value, character in enumerate(ALPHABET)}
WEIGHTS: Final = tuple(pow(3, i, 31) for i in range(17))
_SHAPE: Final = re.compile(r"[0-9A-HJ-NP-RTUW-Y]{2}[0-9]{6}[0-9A-HJ-NP-RTUW-Y]{10}")


def check_character(stem: str) -> str:
    """Return the 18th character for the first 17 (GB 32100-2015 section 4.7).

    Raises KeyError for characters outside the alphabet, ValueError for another length.
    """
    if len(stem) != len(WEIGHTS):
        raise ValueError("the stem of a code has 17 characters")
    return ALPHABET[-sum(map(mul, map(_VALUE.__getitem__, stem), WEIGHTS)) % 31]


def fault(code: str) -> str | None:
    """Return why ``code`` is no valid code, or None when it is one.

    The answer is a reason name: ``USCC_LENGTH``, ``USCC_ALPHABET`` or
    ``USCC_CHECK_CHARACTER``.
    """
    if len(code) != LENGTH:
        return "USCC_LENGTH"
    if _SHAPE.fullmatch(code) is None:
        return "USCC_ALPHABET"
    if check_character(code[:17]) != code[17]:
        return "USCC_CHECK_CHARACTER"
    return None


def is_valid(code: str) -> bool:
    """Tell whether ``code`` is a valid unified social credit code."""
    return fault(code) is None
