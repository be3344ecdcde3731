"""Answers that two ledgers do not agree on: why, by what ids, and their digest. Pure."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from creditgate.clearing_entries import (
    AnswerKey,
    Entries,
    Version,
    version_digest,
)
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind

UNDER_WAY_SECONDS: Final = 3_600
"""So long before the end of a period an answer may have been given and not be kept by the
asking region yet: it may ask for it again under the same request id."""

ASKING_ONLY: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_ASKING_ONLY
HOME_ONLY: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_HOME_ONLY
FEE: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_FEE
CONTENT: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_CONTENT
UNDER_WAY: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_UNDER_WAY
_PREFIX: Final = "dispute-"


class Shown(NamedTuple):
    """The digests of both versions of an answer in dispute, "" where a side has none."""

    home: str
    asking: str


class Dispute(NamedTuple):
    """An answer that the ledgers do not agree on, but for what they do: at least one side has
    entries that the other has not."""

    kind: ClearingDisputeKind.ValueType
    home_entries: Entries
    asking_entries: Entries

    @property
    def answer(self) -> AnswerKey:
        """The answer."""
        return (self.home_entries or self.asking_entries)[0].answer

    @property
    def home(self) -> Version | None:
        """The home region's version, None where it has none."""
        return Version.of(self.home_entries)

    @property
    def asking(self) -> Version | None:
        """The asking region's version, None where it has none."""
        return Version.of(self.asking_entries)

    @property
    def shown(self) -> Shown:
        """The digests of both."""
        return Shown(version_digest(self.home), version_digest(self.asking))


def dispute_id(answer: bytes) -> str:
    """Return the id of the dispute on an answer, by the answer's: the same in both regions."""
    return _PREFIX + answer.hex()


def answer_id(dispute: str) -> bytes:
    """Return the id of the answer that a dispute is on. Raises ValueError for what is no id."""
    return bytes.fromhex(dispute.removeprefix(_PREFIX))


def dispute_of(home: Entries, asking: Entries, until: int) -> Dispute:
    """Return the dispute on an answer of which each side alone has some entries, at least one of
    them any, at the end of a period (seconds, UTC)."""
    if not home:
        kind = ASKING_ONLY
    elif not asking:
        kind = kind_at(HOME_ONLY, max(entry.serve_seconds for entry in home), until)
    else:
        free, other = (
            sorted(each._replace(fee=0) for each in entries) for entries in (home, asking)
        )
        kind = FEE if free == other else CONTENT
    return Dispute(kind, tuple(sorted(home)), tuple(sorted(asking)))


def kind_at(
    kind: ClearingDisputeKind.ValueType, served: int, until: int
) -> ClearingDisputeKind.ValueType:
    """Return the kind that a dispute is of at the end of a period: what only the home region has,
    ``served`` last then, may be under way for a while."""
    if kind not in (HOME_ONLY, UNDER_WAY):
        return kind
    return UNDER_WAY if served >= until - UNDER_WAY_SECONDS else HOME_ONLY


def open_digest(dispute: str, shown: Shown) -> bytes:
    """Return the SHA-256 of a dispute as both know it."""
    return sha256("\n".join(("creditgate/clearing-dispute/v1", dispute, *shown)).encode()).digest()


def disputes_digest(disputes: Iterable[tuple[str, Shown]]) -> str:
    """Return the digest of all that a clearing leaves out, by id: SHA-256 over the digests of
    each in order, in hexadecimal."""
    return sha256(b"".join(sorted(open_digest(*each) for each in disputes))).hexdigest()
