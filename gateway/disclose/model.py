"""What the disclosure is made of."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.disclosure_service_pb2 import RejectedRecord
from gateway.catalogue.admission import Admitted
from gateway.catalogue.rejection import Rejection

_MOST_ECHOED: Final = 128


class Line(NamedTuple):
    """What revenue is counted by."""

    item: str
    source: str
    region: str


class LiveRevision(NamedTuple):
    """A disclosed revision as looked up: stored bytes and what deciding on it needs.

    ``sequence`` is the event that fixed it and names it ever after; times are
    seconds UTC, ``disclosed_until`` `tables.NO_END` where there is none.
    """

    subject: str
    sequence: int
    line_no: int
    disclosed_from: int
    disclosed_until: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """One publisher batch after admission: ``admitted`` by position in the batch."""

    publisher: str
    batch_id: str
    digest: bytes
    admitted: tuple[tuple[int, Admitted], ...]
    rejected: tuple[RejectedRecord, ...]


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of a batch; ``skipped`` when an earlier call had committed it."""

    skipped: bool
    published: int
    unchanged: int
    rejections: tuple[RejectedRecord, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The event that ended a record's disclosure."""

    sequence: int
    at: int


@dataclass(frozen=True, slots=True)
class Correction:
    """The new content and period of a record, admitted already."""

    record: Admitted
    expected_revision: int
    reason: str


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """The newest revision of a record, whether it is still live, and the earliest start of all
    its revisions (seconds, UTC)."""

    record: DisclosedRecord
    live: bool
    first_start: int


def rejected(batch_id: str, index: int, record_id: str, rejection: Rejection) -> RejectedRecord:
    """Return a rejection as its publisher reads it; an id too long is cut."""
    return RejectedRecord(
        batch_id=batch_id,
        index=index,
        record_id=record_id[:_MOST_ECHOED],
        field=rejection.field,
        reason=rejection.reason.name,
        description=rejection.reason.value,
    )
