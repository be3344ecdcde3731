"""What tells that a log ended and another goes on under another key, signed by the former key.

A signed note (C2SP signed-note): a line that says what it is, the size and root (base64) that the
former log ended with, and the key that verifies the next, as a C2SP verifier key. Whoever pinned
the former key so learns the next, without having to ask anybody.
"""

from base64 import b64encode
from typing import Final, NamedTuple

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Signer, VerifierKey, open_note, signed

_TITLE: Final = "creditgate log succession v1"
_LINES: Final = 5


class Succession(NamedTuple):
    """The log of ``former`` ended with ``size`` entries and ``root`` (base64); ``next_key``
    verifies what goes on."""

    former: VerifierKey
    size: int
    root: str
    next_key: VerifierKey


def succession_note(size: int, root: bytes, next_key: VerifierKey, former: Signer) -> str:
    """Return the signed note."""
    lines = (_TITLE, former.verifier.name, str(size), b64encode(root).decode(), str(next_key))
    return signed("".join(f"{line}\n" for line in lines), former)


def open_succession(note: str, former: VerifierKey) -> Succession:
    """Return what a note says that ``former`` has signed. Raises ProofInvalid."""
    lines = open_note(note, former).removesuffix("\n").split("\n")
    if len(lines) != _LINES or lines[:2] != [_TITLE, former.name] or not lines[2].isdecimal():
        raise ProofInvalid("the signed note is no succession of this log")
    try:
        next_key = VerifierKey.parse(lines[4])
    except ValueError:
        raise ProofInvalid("the signed note names no key") from None
    return Succession(former, int(lines[2]), lines[3], next_key)
