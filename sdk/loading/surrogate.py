"""A stand-in for the credit code of a subject that has none, such as a foreign firm.

It has the shape of GB 32100-2015 with a valid check character, and cannot be taken for
an issued code: authority "Y" (other), class "1", district "000000", which GB/T 2260
leaves unassigned. The nine characters between are drawn from the identity given, so the
same firm has the same code in every load and every region. There are 31^9 codes: that two
of ten thousand firms share one has a chance of one in 500,000, of a million, one in fifty.
"""

import unicodedata
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from creditgate.uscc import ALPHABET, check_character

_HEAD: Final = "Y1000000"
_LENGTH: Final = 9


def surrogate_code(identity: Sequence[str]) -> str:
    """Return the code for the subject that ``identity`` names, for example firm and country.

    Width, case and blanks make no difference (NFKC, case-folded, runs of blanks as one).
    """
    same = "\0".join(
        " ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in identity
    )
    number = int.from_bytes(sha256(same.encode()).digest(), "big")
    drawn: list[str] = []
    for _ in range(_LENGTH):
        number, value = divmod(number, len(ALPHABET))
        drawn.append(ALPHABET[value])
    stem = _HEAD + "".join(drawn)
    return stem + check_character(stem)
