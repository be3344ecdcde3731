"""Deputies (受托人): what a representative lets another person do for its company. Pure.

Source: Civil Code of the PRC, articles 161 to 174 (agency by appointment: its matter, its
limits and its term are stated; it ends with withdrawal or renunciation).
"""

from collections.abc import Set
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from consent.model import (
    DAY_SECONDS,
    IN_ORDER,
    ConsentTerms,
    CreditCode,
    Instant,
    ItemCode,
    Part,
    PlainText,
    PurposeNumber,
)

MOST_DELEGATION_SECONDS: Final = 366 * DAY_SECONDS
"""Longest term of a delegation."""
INVITATION_SECONDS: Final = 7 * DAY_SECONDS
"""How long an invitation may be accepted, from the beginning of the delegation."""
MOST_LABEL: Final = 100
MOST_NAME: Final = 200
MOST_LIMITS: Final = 64


class Power(StrEnum):
    """What a deputy may do."""

    ANSWER = "answer"
    """Grant or refuse consents that are asked for."""
    REVOKE = "revoke"
    """End consents."""
    SEE = "see"
    """See consents and who used the company's records."""
    REPORT = "report"
    """Have reports of the company issued, see and download them, take them back. A report may
    hold all there is of the company: a delegation with limits does not give it."""


class Delegation(Part):
    """One delegation (委托).

    ``appointed_by`` is the principal of the representative, ``label`` what it calls the
    deputy. Empty ``items``, ``purposes`` or ``operators`` limit nothing; ``operators`` are
    operator ids. It is in force within [valid_from, valid_until) (seconds, UTC), once
    ``deputy``, a principal, accepted it and until it is ended: ``ended_by`` is the
    principal who withdrew it or gave it up. ``deputy_name`` is what the identity provider calls
    whoever accepted, "" where it told nothing fit to be shown: whom the representative meant
    tells ``label``, and anybody may accept who has the link.
    """

    delegation_id: Annotated[str, Field(min_length=1, max_length=40)]
    subject: CreditCode
    appointed_by: Annotated[str, Field(min_length=1, max_length=80)]
    label: Annotated[PlainText, Field(min_length=1, max_length=MOST_LABEL)]
    powers: Annotated[frozenset[Power], Field(min_length=1), IN_ORDER]
    items: Annotated[frozenset[ItemCode], Field(max_length=MOST_LIMITS), IN_ORDER] = Field(
        default_factory=frozenset[str]
    )
    purposes: Annotated[frozenset[PurposeNumber], IN_ORDER] = Field(default_factory=frozenset[int])
    operators: Annotated[
        frozenset[Annotated[str, Field(min_length=1, max_length=40)]],
        Field(max_length=MOST_LIMITS),
        IN_ORDER,
    ] = Field(default_factory=frozenset[str])
    valid_from: Instant
    valid_until: Instant
    deputy: Annotated[str, Field(max_length=80)] = ""
    deputy_name: Annotated[PlainText, Field(max_length=MOST_NAME)] = ""
    accepted_at: Instant | None = None
    ended_at: Instant | None = None
    ended_by: Annotated[str, Field(max_length=80)] = ""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.valid_until <= self.valid_from:
            raise ValueError("the delegation must end after it begins")
        if self.valid_until - self.valid_from > MOST_DELEGATION_SECONDS:
            raise ValueError("a delegation holds for 366 days at most")
        if bool(self.deputy) != (self.accepted_at is not None):
            raise ValueError("a delegation has a deputy from its acceptance on")
        return self

    @property
    def called(self) -> str:
        """What whoever acts under it is called."""
        return self.deputy_name or self.label

    @property
    def meant(self) -> str:
        """Whom the representative meant, where whoever acts under it is called otherwise, else ""."""
        return "" if self.called == self.label else self.label

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"delegations/{self.delegation_id}"


def live(delegation: Delegation, now: int) -> bool:
    """Tell whether somebody acts under ``delegation`` at ``now`` (seconds, UTC)."""
    return (
        bool(delegation.deputy)
        and delegation.ended_at is None
        and delegation.valid_from <= now < delegation.valid_until
    )


def invites(delegation: Delegation, now: int) -> bool:
    """Tell whether ``delegation`` waits for its deputy at ``now`` (seconds, UTC)."""
    over = min(delegation.valid_from + INVITATION_SECONDS, delegation.valid_until)
    return not delegation.deputy and delegation.ended_at is None and now < over


def allows(
    delegation: Delegation,
    power: Power,
    now: int,
    *,
    terms: ConsentTerms | None = None,
    operator_id: str = "",
) -> bool:
    """Tell whether the deputy may do this at ``now`` (seconds, UTC).

    With ``terms`` of a consent, asked by ``operator_id``, all of them must be within the
    limits; without, and without an operator, limits are not judged: whoever lists must
    ask for each thing listed.
    """
    if power not in delegation.powers or not live(delegation, now):
        return False
    if terms is None and not operator_id:
        return True
    if terms is None:
        return _within({operator_id}, delegation.operators)
    return within(delegation, terms.fields_by_item.keys(), terms.purposes, operator_id)


def within(delegation: Delegation, items: Set[str], purposes: Set[int], operator_id: str) -> bool:
    """Tell whether all of these are within the limits of ``delegation``."""
    return (
        _within(items, delegation.items)
        and _within(purposes, delegation.purposes)
        and _within({operator_id}, delegation.operators)
    )


def _within(asked: Set[Any], limits: Set[Any]) -> bool:
    return not limits or asked <= limits
