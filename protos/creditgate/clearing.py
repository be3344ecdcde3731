"""Clearing between regions (清算): what an entry is to both, how ledgers differ, what is signed. Pure.

A clearing is a JWT of type `CLEARING_TYPE`, signed by the region that proposes it, with another
of type `ACCEPTANCE_TYPE`, by which the other region signs its digest. Amounts are micro-yuan.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from hashlib import sha256
from itertools import zip_longest
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, Strict

from creditgate.signed_document import (
    DocumentPart,
    Instant,
    ShortText,
    among,
    listed,
    names_of,
)
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind
from creditgate.v1.federation_service_pb2 import ClearingEntry as EntryMessage

CLEARING_TYPE: Final = "creditgate-clearing+jwt"
ACCEPTANCE_TYPE: Final = "creditgate-clearing-acceptance+jwt"
MOST_CHARACTERS: Final = 2_600_000
"""Longest clearing."""
MOST_DISPUTES: Final = 1_000
"""Most entries that a clearing leaves out: where more differ, people look first."""
UNDER_WAY_SECONDS: Final = 3_600
"""So long before the end of a period an answer may have been given and not be kept by the
asking region yet: it may ask for it again under the same request id."""

ASKING_ONLY: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_ASKING_ONLY
HOME_ONLY: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_HOME_ONLY
FEE: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_FEE
CONTENT: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_CONTENT
UNDER_WAY: Final = ClearingDisputeKind.CLEARING_DISPUTE_KIND_UNDER_WAY
KINDS: Final = names_of(ClearingDisputeKind, "CLEARING_DISPUTE_KIND_")
_KindName = Annotated[str, among(KINDS), listed(KINDS)]
_DIGEST_PATTERN: Final = "^[0-9a-f]{64}$"
_Digest = Annotated[str, Field(pattern=_DIGEST_PATTERN)]
_Amount = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]
_SEPARATOR: Final = "\n"


class EntryKey(NamedTuple):
    """What two versions of an entry have in common."""

    home: str
    asking: str
    request_id: str
    record_id: str
    revision: int


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
    def key(self) -> EntryKey:
        """What another version of it would have too."""
        return EntryKey(self.home, self.asking, self.request_id, self.record_id, self.revision)

    def digest(self) -> bytes:
        """Return the SHA-256 over all of it: the element is its first 16 bytes.

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
        """Return what a message says."""
        return cls(
            message.home_region,
            message.asking_region,
            message.request_id,
            message.chunk,
            message.record_id,
            message.revision,
            message.item,
            message.serve_seconds,
            message.fee_micro_yuan,
        )


class EntryPart(DocumentPart):
    """An entry as a clearing has it; see `ClearingEntry`."""

    home: ShortText
    asking: ShortText
    request_id: Annotated[str, Field(min_length=1, max_length=64, pattern="^[!-~]+$")]
    chunk: Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
    record_id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00\n\r]+$")]
    revision: Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
    item: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00\n\r]+$")]
    serve_seconds: Instant
    fee: _Amount

    @property
    def entry(self) -> ClearingEntry:
        """The entry."""
        return ClearingEntry(*(getattr(self, name) for name in ClearingEntry._fields))

    @classmethod
    def of(cls, entry: ClearingEntry) -> "EntryPart":
        """Return an entry. Raises pydantic's ValidationError for one that cannot be."""
        return cls.model_validate(entry._asdict())


class DisputePart(DocumentPart):
    """An entry that the ledgers do not agree on, in both versions as far as there are."""

    kind: _KindName
    home_entry: EntryPart | None = None
    asking_entry: EntryPart | None = None

    @property
    def dispute(self) -> "Dispute":
        """What it says."""
        number = next(number for number, name in KINDS.items() if name == self.kind)
        home, asking = self.home_entry, self.asking_entry
        return Dispute(
            ClearingDisputeKind.ValueType(number),
            None if home is None else home.entry,
            None if asking is None else asking.entry,
        )


class Dispute(NamedTuple):
    """An entry that the ledgers do not agree on; at least one version is there."""

    kind: ClearingDisputeKind.ValueType
    home_entry: ClearingEntry | None
    asking_entry: ClearingEntry | None

    @property
    def versions(self) -> tuple[ClearingEntry, ...]:
        """The versions there are."""
        return tuple(each for each in (self.home_entry, self.asking_entry) if each is not None)

    @property
    def dispute_id(self) -> str:
        """Its id: the same in both regions, in every clearing it is left out of."""
        first = min(self.versions)
        name = _SEPARATOR.join(map(str, first.key))
        return f"dispute-{sha256(name.encode()).hexdigest()[:32]}"

    def version(self, region: str) -> ClearingEntry | None:
        """Return the version of a region, None where it has none."""
        (one, *_) = self.versions
        return self.home_entry if region == one.home else self.asking_entry

    def part(self) -> DisputePart:
        """Return it as a clearing has it."""
        return DisputePart(
            kind=KINDS[self.kind],
            home_entry=None if self.home_entry is None else EntryPart.of(self.home_entry),
            asking_entry=None if self.asking_entry is None else EntryPart.of(self.asking_entry),
        )


def disputes_of(
    one: Iterable[ClearingEntry], other: Iterable[ClearingEntry], region: str, until: int
) -> list[Dispute]:
    """Return what is in dispute between ``region``, which alone has the entries ``one``, and
    another, which alone has ``other``, at the end of a period (seconds, UTC); by id."""
    versions: dict[EntryKey, tuple[list[ClearingEntry], list[ClearingEntry]]] = defaultdict(
        lambda: ([], [])
    )
    for place, entries in enumerate((one, other)):
        for entry in entries:
            versions[entry.key][place].append(entry)
    found: list[Dispute] = []
    for key, (ours, theirs) in versions.items():
        home, asking = (ours, theirs) if key.home == region else (theirs, ours)
        for at_home, at_asking in zip_longest(sorted(home), sorted(asking)):
            found.append(Dispute(_kind(at_home, at_asking, until), at_home, at_asking))
    return sorted(found, key=lambda each: (each.dispute_id, each.versions))


def _kind(
    home: ClearingEntry | None, asking: ClearingEntry | None, until: int
) -> ClearingDisputeKind.ValueType:
    if home is None:
        return ASKING_ONLY
    if asking is None:
        return UNDER_WAY if home.serve_seconds >= until - UNDER_WAY_SECONDS else HOME_ONLY
    return FEE if home._replace(fee=asking.fee) == asking else CONTENT


class Sums(NamedTuple):
    """Entries counted: how many, those of them before a period, and the fees due to each of two
    regions, micro-yuan; ``digest`` is that of all of them."""

    entries: int
    adjusted: int
    proposing_due: int
    other_due: int
    digest: str


def entries_digest(digests: Collection[bytes]) -> str:
    """Return the digest of entries by theirs: SHA-256 over them in order, in hexadecimal."""
    return sha256(b"".join(sorted(digests))).hexdigest()


class Clearing(DocumentPart):
    """A clearing as it was proposed: what both have alike is agreed, the rest is in dispute."""

    iss: ShortText = Field(description="Entity identifier of the region that proposes.")
    iat: Instant
    schema_version: Literal["1"]
    other: ShortText = Field(description="Entity identifier of the other region.")
    start: Instant = Field(default=0, description="End of the last period; 0 in the first.")
    until: Instant = Field(description="Entries served before this second, if not cleared yet.")
    previous: str = Field(
        default="",
        pattern="^([0-9a-f]{64})?$",
        description="SHA-256 of the last clearing's document; empty in the first.",
    )
    entries: _Amount = Field(default=0, description="Entries agreed, both directions.")
    adjusted: _Amount = Field(default=0, description="Those of them served before the period.")
    proposing_due: _Amount = Field(default=0, description="Due to the region that proposes.")
    other_due: _Amount = Field(default=0, description="Due to the other region.")
    entries_digest: _Digest
    disputes: tuple[DisputePart, ...] = Field(default=(), max_length=MOST_DISPUTES)

    @property
    def sums(self) -> Sums:
        """What it says is agreed."""
        return Sums(
            self.entries, self.adjusted, self.proposing_due, self.other_due, self.entries_digest
        )

    def due_to(self, region: str) -> int:
        """Return what is due to one of the two regions."""
        return self.proposing_due if region == self.iss else self.other_due


class ClearingAcceptance(DocumentPart):
    """The other region's signature on a clearing."""

    iss: ShortText = Field(description="Entity identifier of the other region.")
    iat: Instant
    schema_version: Literal["1"]
    clearing: _Digest = Field(description="SHA-256 of the clearing's JWT, in hexadecimal.")


def document_digest(document: str) -> str:
    """Return the digest that an acceptance, and the next clearing, name a clearing by."""
    return sha256(document.encode()).hexdigest()
