"""Checks unified social credit codes by the thousand: the rule of `creditgate.uscc`, at once."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from creditgate.uscc import ALPHABET, LENGTH, WEIGHTS

_NONE: Final = len(ALPHABET)
_VALUES: Final = np.full(256, _NONE, dtype=np.uint8)
_VALUES[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(_NONE, dtype=np.uint8)
_WEIGHTS: Final = np.array([*WEIGHTS, 1], dtype=np.int32)
_DIGITS: Final = slice(2, 8)


def all_valid(codes: Sequence[str]) -> bool:
    """Tell whether each code is a valid unified social credit code."""
    if not codes:
        return True
    if any(len(code) != LENGTH for code in codes):
        return False
    try:
        characters = "".join(codes).encode("ascii")
    except UnicodeEncodeError:
        return False
    values = _VALUES[np.frombuffer(characters, dtype=np.uint8)].reshape(-1, LENGTH)
    return bool(
        (values < _NONE).all()
        and (values[:, _DIGITS] < 10).all()
        and (values @ _WEIGHTS % len(ALPHABET) == 0).all()
    )
