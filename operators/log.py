"""The authority log: versioned documents, append-only, with who, when and why.

The current state of a thing is its highest version; a snapshot of everything is the
fold of the log in order of `Change.sequence`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Draft:
    """A new version about to be written.

    ``expected_version`` is the version it follows, 0 when the thing must not exist yet;
    ``document`` is the whole thing after the change and holds JSON values only.
    """

    kind: str
    id: str
    expected_version: int
    document: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Change:
    """One version as written. ``changed_at`` in seconds, UTC."""

    sequence: int
    kind: str
    id: str
    version: int
    document: Mapping[str, object]
    changed_by: str
    changed_at: int
    reason: str


class AuthorityLog(Protocol):
    """Where changes of authority are kept. Calls block; sequences follow commit order."""

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        changed_by: str,
        changed_at: int,
        reason: str,
        follows: int | None = None,
    ) -> tuple[Change, ...]:
        """Write all drafts or none, in one transaction, and return them as written.

        ``follows`` is the sequence of the newest change the writer knows, where its
        judgement rests on more than the things it writes; None where it does not.

        Raises Refused RESOURCE_EXISTS when a draft expects version 0 and the thing
        exists, ETAG_MISMATCH when its current version is another than expected or a
        change came after ``follows``.
        """
        ...

    def since(self, sequence: int) -> tuple[Change, ...]:
        """Return every change with a greater sequence, in order."""
        ...

    def head(self) -> int:
        """Return the sequence of the newest change, 0 when there is none."""
        ...

    def history(
        self,
        *,
        kind: str,
        id: str,  # noqa: A002  # the thing's id, as in Change
        after: int,
        limit: int,
    ) -> tuple[Change, ...]:
        """Return up to ``limit`` changes with a sequence greater than ``after``, in order.

        ``kind`` and ``id`` narrow to one kind and one thing; "" means all.
        """
        ...
