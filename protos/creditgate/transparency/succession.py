"""What tells that a log goes on under another key, signed by the former key.

Signed notes (C2SP signed-note). A succession: a line that says what it is, the former key as a C2SP
verifier key, the size and root (base64) that its log ended with, and the key that verifies the next.
The former key and the next have both signed it: whoever pinned the former so learns the next, and
whoever knows the next that the former was before it, neither by the word of anybody else. An
announcement says before that which key is to follow, by the former alone: size and root are not known
yet.
"""

from base64 import b64encode
from typing import Final, NamedTuple

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Signer, VerifierKey, open_note, signature_line, signed

_TITLE: Final = "creditgate log succession v2"
_LINES: Final = 5
_ANNOUNCED: Final = "creditgate log announcement v1"
_ANNOUNCED_LINES: Final = 3


class Succession(NamedTuple):
    """The log of ``former`` ended with ``size`` entries and ``root`` (base64); ``next_key``
    verifies what goes on."""

    former: VerifierKey
    size: int
    root: str
    next_key: VerifierKey


def succession_note(size: int, root: bytes, following: Signer, former: Signer) -> str:
    """Return the signed note of a succession."""
    own, after = former.verifier, following.verifier
    lines = (_TITLE, str(own), str(size), b64encode(root).decode(), str(after))
    body = "".join(f"{line}\n" for line in lines)
    return signed(body, former) + signature_line(
        after.name, after.key_id, following.sign(body.encode())
    )


def open_succession(note: str, former: VerifierKey) -> Succession:
    """Return what a note says that ``former`` has signed. Raises ProofInvalid."""
    lines = open_note(note, former).removesuffix("\n").split("\n")
    if len(lines) != _LINES or lines[:2] != [_TITLE, str(former)] or not lines[2].isdecimal():
        raise ProofInvalid("the signed note is no succession of this log")
    return Succession(former, int(lines[2]), lines[3], _key(lines[4]))


def former_in(note: str, following: VerifierKey) -> VerifierKey:
    """Return the key that ``following`` has come after, as both have signed. Raises ProofInvalid."""
    former = former_named(note)
    if former is None or open_succession(note, former).next_key != following:
        raise ProofInvalid("the signed note is no succession to this log")
    open_note(note, following)
    return former


def announcement_note(next_key: VerifierKey, former: Signer) -> str:
    """Return the signed note of an announcement."""
    lines = (_ANNOUNCED, str(former.verifier), str(next_key))
    return signed("".join(f"{line}\n" for line in lines), former)


def open_announcement(note: str, former: VerifierKey) -> VerifierKey:
    """Return the key that is to follow ``former``, which signed the note. Raises ProofInvalid."""
    lines = open_note(note, former).removesuffix("\n").split("\n")
    if len(lines) != _ANNOUNCED_LINES or lines[:2] != [_ANNOUNCED, str(former)]:
        raise ProofInvalid("the signed note is no announcement of this log")
    return _key(lines[2])


def is_announcement(note: str) -> bool:
    """Tell whether a note says that it is an announcement; unverified."""
    return note.startswith(f"{_ANNOUNCED}\n")


def former_named(note: str) -> VerifierKey | None:
    """Return the key that a note says it is of, None where it names none; unverified."""
    try:
        return VerifierKey.parse(note.split("\n", 2)[1])
    except (IndexError, ValueError):
        return None


def _key(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except ValueError:
        raise ProofInvalid("the signed note names no key") from None
