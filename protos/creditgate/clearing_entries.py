"""What clearing compares: entries, the answers they are of, and what a region claims of one. Pure.

Amounts are micro-yuan, instants seconds, UTC.
"""

import json
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from sys import intern
from typing import Annotated, Final, NamedTuple

from pydantic import Field, Strict

from creditgate.signed_document import DocumentPart, Instant, ShortText
from creditgate.v1.federation_service_pb2 import ClearingEntry as EntryMessage

_SEPARATOR: Final = "\n"
_MOST: Final = 2**63 - 1
MOST_BEFORE: Final = 8_192
"""So many characters of what is claimed of an answer have its first entry."""


class AnswerKey(NamedTuple):
    """One answer that crossed regions: ``request_id`` is the asking region's, ``chunk`` the number
    of the home region's answer."""

    home: str
    asking: str
    request_id: str
    chunk: int

    @property
    def id(self) -> bytes:
        """Its id, 16 bytes: the same in both regions."""
        name = _SEPARATOR.join(("creditgate/clearing-answer/v1", *map(str, self)))
        return sha256(name.encode()).digest()[:16]


class ClearingEntry(NamedTuple):
    """One record of one answer that crossed regions, as both ends metered it.

    ``home`` and ``asking`` are entity identifiers, ``request_id`` is the asking region's and
    ``chunk`` the number of the home region's answer; ``item`` is the home region's. It belongs
    to ``serve_seconds``, the second of the home region's ledger (UTC). ``fee`` in micro-yuan.
    """

    home: str
    asking: str
    request_id: str
    chunk: int
    record_id: str
    revision: int
    item: str
    serve_seconds: int
    fee: int

    @property
    def answer(self) -> AnswerKey:
        """The answer it is of."""
        return AnswerKey(self.home, self.asking, self.request_id, self.chunk)

    def digest(self) -> bytes:
        """Return the SHA-256 over all of it.

        No field has a line break, so one text is of one entry.
        """
        return sha256(
            _SEPARATOR.join(("creditgate/clearing-entry/v1", *map(str, self))).encode()
        ).digest()

    def message(self) -> EntryMessage:
        """Return it as the contract has it."""
        return EntryMessage(
            home_region=self.home,
            asking_region=self.asking,
            request_id=self.request_id,
            chunk=self.chunk,
            record_id=self.record_id,
            revision=self.revision,
            item=self.item,
            serve_seconds=self.serve_seconds,
            fee_micro_yuan=self.fee,
        )

    @classmethod
    def of(cls, message: EntryMessage) -> "ClearingEntry":
        """Return what a message says. Raises pydantic's ValidationError for what cannot be."""
        # There may be a million of them: what they have in common is kept once.
        entry = cls(
            intern(message.home_region),
            intern(message.asking_region),
            intern(message.request_id),
            message.chunk,
            message.record_id,
            message.revision,
            intern(message.item),
            message.serve_seconds,
            message.fee_micro_yuan,
        )
        _Entry.model_validate(entry._asdict())
        return entry


class _Entry(DocumentPart):
    """What an entry can be; see `ClearingEntry`."""

    home: ShortText
    asking: ShortText
    request_id: Annotated[str, Field(min_length=1, max_length=64, pattern="^[!-~]+$")]
    chunk: Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
    record_id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00\n\r]+$")]
    revision: Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
    item: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00\n\r]+$")]
    serve_seconds: Instant
    fee: Annotated[int, Strict(), Field(ge=0, le=_MOST)]


Entries = tuple[ClearingEntry, ...]
"""What a region claims of one answer, in order: () where it claims nothing."""


def entries_text(entries: Entries) -> str:
    """Return what is claimed of one answer as it is kept: "" for nothing."""
    if not entries:
        return ""
    rows = [[e.record_id, e.revision, e.item, e.serve_seconds, e.fee] for e in entries]
    return json.dumps([list(entries[0].answer), *rows], ensure_ascii=False, separators=(",", ":"))


def entries_in(text: str) -> Entries:
    """Return what `entries_text` was made of."""
    if not text:
        return ()
    key, *rows = json.loads(text)
    return tuple(ClearingEntry(*key, *row) for row in rows)


def first_entry(text: str) -> ClearingEntry | None:
    """Return the first entry of what begins as `entries_text` made it, None for "".

    `MOST_BEFORE` characters of it are enough.
    """
    if not text:
        return None
    decoder = json.JSONDecoder()
    key, end = decoder.raw_decode(text, 1)
    row, _ = decoder.raw_decode(text, end + 1)
    return ClearingEntry(*key, *row)


class Line(NamedTuple):
    """Entries of one answer that are alike but for their records, and how many they are."""

    serve_seconds: int
    item: str
    fee: int
    entries: int


class Version(NamedTuple):
    """What a region claims of one answer, but for what both agree on, without its records.

    ``lines`` in order; ``entries_digest`` is SHA-256 over the digests of the entries in order.
    """

    answer: AnswerKey
    lines: tuple[Line, ...]
    entries_digest: str

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return sum(line.entries for line in self.lines)

    @property
    def fee(self) -> int:
        """The fees of all of them."""
        return sum(line.entries * line.fee for line in self.lines)

    @property
    def served(self) -> int:
        """The last second of its entries."""
        return max(line.serve_seconds for line in self.lines)

    def digest(self) -> str:
        """Return the SHA-256 that it is named by, in hexadecimal."""
        parts = (
            "creditgate/clearing-version/v1",
            *map(str, self.answer),
            *(str(field) for line in self.lines for field in line),
            self.entries_digest,
        )
        return sha256(_SEPARATOR.join(parts).encode()).hexdigest()

    @classmethod
    def of(cls, entries: Entries) -> "Version | None":
        """Return the version that some entries of one answer are, None where there are none."""
        if not entries:
            return None
        counts = Counter((e.serve_seconds, e.item, e.fee) for e in entries)
        lines = tuple(Line(*alike, number) for alike, number in sorted(counts.items()))
        return cls(entries[0].answer, lines, entries_digest(e.digest() for e in entries))

    def text(self) -> str:
        """Return it as it is kept."""
        return json.dumps(self, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> "Version | None":
        """Return what `text` was made of, None for ""."""
        if not text:
            return None
        answer, lines, digest = json.loads(text)
        return cls(AnswerKey(*answer), tuple(Line(*line) for line in lines), digest)


def version_digest(version: Version | None) -> str:
    """Return what a version is named by: "" where a side has none."""
    return "" if version is None else version.digest()


def entries_digest(digests: Iterable[bytes]) -> str:
    """Return the digest of entries by theirs: SHA-256 over them in order, in hexadecimal."""
    return sha256(b"".join(sorted(digests))).hexdigest()
