"""What the authority log keeps: frozen, checked things that are written as documents."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict


class Kept(BaseModel):
    """A thing of the authority log.

    ``version`` and ``changed_at`` (seconds, UTC) belong to the log and are no part of
    the document; both are 0 in what was not stored yet.
    """

    # A field this version does not know could narrow authority: refuse to guess.
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 0
    changed_at: int = 0

    def as_document(self) -> dict[str, object]:
        """Return the thing as the log keeps it."""
        return self.model_dump(mode="json", exclude={"version", "changed_at"})

    @classmethod
    def from_document(
        cls, document: Mapping[str, object], *, version: int, changed_at: int
    ) -> Self:
        """Return the thing a log entry holds. Raises pydantic.ValidationError."""
        return cls.model_validate({**document, "version": version, "changed_at": changed_at})
