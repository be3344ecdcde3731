"""Directories as they are published: a filter, and a signed note that names it. Pure.

The note is a C2SP signed-note by the key of the region's disclosure log. Its first line is no
origin of a log, so that it can never pass for a checkpoint, nor a checkpoint for it.
"""

import binascii
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Final, NamedTuple

from creditgate.transparency.linked import Pinned, linked
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Signer, open_note, signed
from gateway.federation.asking.subject_filter import SubjectFilter

_FORMAT: Final = "creditgate/subject-directory/v1"
EPOCH_SECONDS: Final = 7 * 86_400
"""How long a key lasts: each new one lets a peer that keeps old filters strike out some of the
invented entries, so it is not short."""
LIFE_SECONDS: Final = 900
"""How long a directory is relied on from when it was made."""
FRESH_SECONDS: Final = 120
"""How long a directory is given out before another is made."""


class Named(NamedTuple):
    """What a note says of a directory: whose it is, when it was made (seconds, UTC), its size
    and key, and the digest of its bits."""

    region: str
    made_at: int
    power: int
    key: bytes
    digest: bytes


class SubjectDirectory(NamedTuple):
    """A directory whose note was verified.

    ``log_size`` is how large the region's disclosure log was, at least, when it was made, 0 where
    that is not known; ``catalogue`` the version of the region's catalogue then.
    """

    named: Named
    filter: SubjectFilter
    note: str = ""
    log_size: int = 0
    catalogue: str = ""

    @property
    def made_at(self) -> int:
        """When it was made (seconds, UTC)."""
        return self.named.made_at

    def may_hold(self, subject: str) -> bool:
        """Tell whether the region may have had public records of ``subject`` then."""
        return self.filter.may_hold(subject)

    def stands(self, now: int) -> bool:
        """Tell whether it is relied on at ``now`` (seconds, UTC)."""
        return now < self.named.made_at + LIFE_SECONDS


def epoch_of(at: int) -> int:
    """Return the number of the epoch that ``at`` (seconds, UTC) lies in."""
    return at // EPOCH_SECONDS


def named_by(region: str, made_at: int, made: SubjectFilter) -> Named:
    """Return what the note of a filter says."""
    return Named(region, made_at, made.power, made.key, sha256(made.bits).digest())


def note_of(named: Named, signer: Signer) -> str:
    """Return the signed note of a directory."""
    return signed(_body(named), signer)


def open_directory_note(note: str, region: str, pinned: Pinned) -> Named:
    """Return what a note says that a key of the disclosure log of ``region`` has signed.

    Raises ProofInvalid.
    """
    lines = _opened(note, pinned).split("\n")
    if len(lines) != 7 or lines[0] != _FORMAT:
        raise ProofInvalid("the signed note names no directory of this region")
    try:
        named = Named(
            region,
            int(lines[2]),
            int(lines[3]),
            b64decode(lines[4], validate=True),
            b64decode(lines[5], validate=True),
        )
    except (ValueError, binascii.Error):
        raise ProofInvalid("the signed note names no directory") from None
    if _body(named) != "\n".join(lines):
        raise ProofInvalid("the signed note names no directory")
    return named


def _opened(note: str, pinned: Pinned) -> str:
    *others, present = reversed(linked(pinned).every)
    for key in others:
        try:
            return open_note(note, key)
        except ProofInvalid:
            continue
    return open_note(note, present)


def directory_of(named: Named, bits: bytes) -> SubjectDirectory:
    """Return the directory that a note names. Raises ProofInvalid where ``bits`` are others."""
    if sha256(bits).digest() != named.digest:
        raise ProofInvalid("the filter is not the one that the note names")
    try:
        return SubjectDirectory(named, SubjectFilter.read(named.power, named.key, bits))
    except ValueError:
        raise ProofInvalid("the filter is of no known form") from None


def _body(named: Named) -> str:
    return "\n".join(
        (
            _FORMAT,
            named.region,
            str(named.made_at),
            str(named.power),
            b64encode(named.key).decode(),
            b64encode(named.digest).decode(),
            "",
        )
    )
