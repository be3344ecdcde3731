"""Admission: which drafts may enter the disclosure, and why others may not (G8). Pure."""

from dataclasses import dataclass

from creditgate.v1.vocabulary_pb2 import Severity


@dataclass(frozen=True, slots=True)
class Admitted:
    """A draft that may be disclosed. Times in seconds UTC; ``disclosed_until`` None
    where the item's rule has no end; ``digest`` is the SHA-256 of ``content``."""

    record_id: str
    subject: str
    item: str
    source: str
    region: str
    severity: Severity.ValueType
    content: bytes
    digest: bytes
    disclosed_from: int
    disclosed_until: int | None
