"""A copy as it is held, and why a file of copies cannot be read."""

from pathlib import Path
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.reconcile.elements import element_of
from creditgate.transparency.facts import NO_END, Copy
from creditgate.v1.conformance_service_pb2 import CopyDigest


class CopiesRefused(ValueError):
    """A file of copies cannot be used; the message names file, row and mend, no value."""


class HeldCopy(NamedTuple):
    """One row of a file of copies.

    ``content`` is the bytes held, None where the file keeps their digest alone; times are
    seconds UTC, ``disclosed_until`` is `NO_END` where there is none. ``row`` is where it
    stands in the file, as `sdk.loading.rows.Row` counts.
    """

    row: int
    record_id: str
    content: bytes | None
    content_digest: bytes
    disclosed_from: int
    disclosed_until: int

    def element(self) -> bytes:
        """Return what is reconciled: 16 bytes of the digest of record, content and period."""
        return element_of(
            Copy(self.record_id, self.content_digest, self.disclosed_from, self.disclosed_until)
        )

    def shown(self) -> CopyDigest:
        """Return the copy by its digests, as it is shown to the gateway."""
        return CopyDigest(
            record=f"records/{self.record_id}",
            content_digest=self.content_digest,
            disclosed_from=Timestamp(seconds=self.disclosed_from),
            disclosed_until=self.until(),
        )

    def until(self) -> Timestamp | None:
        """Return the end of the period held, None where there is none."""
        if self.disclosed_until == NO_END:
            return None
        return Timestamp(seconds=self.disclosed_until)


def refused(path: Path, row: int, mend: str) -> CopiesRefused:
    """Return the refusal of a file for one of its rows."""
    return CopiesRefused(f"{path}, row {row}: {mend}")
