"""The consent a path names, for whoever may open it."""

from typing import Final

from consent.model import ConsentChange
from gateway.subject.naming import consent_id_of
from gateway.subject.standing import Standing, standing
from gateway.subject.visit import CompanyVisit, NotShown

_MOST_CHANGES: Final = 200
"""More than any consent can have: requested, answered, ended, and holds between."""


def opened(visit: CompanyVisit) -> Standing:
    """Return the consent the path names, as it stands. Blocks.

    Raises NotShown "missing" for one there is not, of another company, or that is not for
    this deputy to see: all alike.
    """
    consent_id = consent_id_of(visit.request.path_params.get("consent_id", ""))
    one = standing(visit.parts.consents, consent_id, visit.now) if consent_id else None
    if (
        one is None
        or one.consent.subject != visit.acting.subject
        or not visit.acting.may_open(one.consent, one.state)
    ):
        raise NotShown("missing")
    return one


def history(visit: CompanyVisit, consent_id: str) -> tuple[ConsentChange, ...]:
    """Return what happened to a consent, oldest first. Blocks."""
    return visit.parts.consents.changes(consent_id=consent_id, limit=_MOST_CHANGES)
