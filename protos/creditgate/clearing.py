"""Clearing between regions (清算): what is signed. Pure.

A clearing is a JWT of type `CLEARING_TYPE`, signed by the region that proposes it, with another
of type `ACCEPTANCE_TYPE`, by which the other region signs its digest. Amounts are micro-yuan.
"""

from hashlib import sha256
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, Strict, model_validator

from creditgate.clearing_amounts import MOST_LINES, AmountLine, due_by_lines
from creditgate.signed_document import DocumentPart, Instant, ShortText

CLEARING_TYPE: Final = "creditgate-clearing+jwt"
ACCEPTANCE_TYPE: Final = "creditgate-clearing-acceptance+jwt"
MOST_CHARACTERS: Final = 65_536
"""Longest clearing: it has counts and digests, whatever differs."""
SCHEMA_VERSION: Final = "2"
"""Version of a clearing: one of version 1 lists disputes, by record."""
FORMAT_VERSION: Final = 2
"""Version of what regions compare: answers, and open disputes that are as they were."""

_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Amount = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]


class Sums(NamedTuple):
    """Entries counted: how many, those of them before a period, and the fees due to each of two
    regions, micro-yuan; ``digest`` is that of all of them."""

    entries: int
    adjusted: int
    proposing_due: int
    other_due: int
    digest: str


class LeftOut(NamedTuple):
    """Answers that a clearing leaves out: how many in dispute, how many that may be under way, and
    the digest of both (`creditgate.clearing_disputes.disputes_digest`)."""

    disputes: int
    under_way: int
    digest: str


class Clearing(DocumentPart):
    """A clearing as it was proposed: what both have alike is agreed, the rest is in dispute."""

    iss: ShortText = Field(description="Entity identifier of the region that proposes.")
    iat: Instant
    schema_version: Literal["2"]
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
    proposing_due: _Amount = Field(
        default=0, description="Due for entries to the region that proposes, by list price."
    )
    other_due: _Amount = Field(
        default=0, description="Due for entries to the other region, by list price."
    )
    entries_digest: _Digest
    disputes: _Amount = Field(default=0, description="Answers in dispute, new and still open.")
    under_way: _Amount = Field(default=0, description="Answers that may be under way.")
    disputes_digest: _Digest = Field(description="Digest of both kinds, as both sides list them.")
    amounts: tuple[AmountLine, ...] = Field(
        default=(),
        max_length=MOST_LINES,
        description="What months come to beyond list prices, in order of home region and month.",
    )

    @model_validator(mode="after")
    def _amounts_are_told_once(self) -> Self:
        keys = [(each.home, each.month) for each in self.amounts]
        if keys != sorted(set(keys)) or any(home not in (self.iss, self.other) for home, _ in keys):
            raise ValueError("give each amount once, in order, of one of the two regions")
        return self

    @property
    def sums(self) -> Sums:
        """What it says is agreed."""
        return Sums(
            self.entries, self.adjusted, self.proposing_due, self.other_due, self.entries_digest
        )

    @property
    def left_out(self) -> LeftOut:
        """What it says is left out."""
        return LeftOut(self.disputes, self.under_way, self.disputes_digest)

    def due_to(self, region: str) -> int:
        """Return what is due to one of the two regions, for entries and beyond list prices."""
        listed = self.proposing_due if region == self.iss else self.other_due
        return listed + due_by_lines(self.amounts).get(region, 0)


class ClearingAcceptance(DocumentPart):
    """The other region's signature on a clearing."""

    iss: ShortText = Field(description="Entity identifier of the other region.")
    iat: Instant
    schema_version: Literal["1"]
    clearing: _Digest = Field(description="SHA-256 of the clearing's JWT, in hexadecimal.")


def document_digest(document: str) -> str:
    """Return the digest that an acceptance, and the next clearing, name a clearing by."""
    return sha256(document.encode()).hexdigest()
