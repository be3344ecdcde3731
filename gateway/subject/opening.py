"""The consent a path names, for whoever may open it, and who did what to it."""

from collections.abc import Sequence
from typing import Final

from consent.delegation import Delegation
from consent.histories import History
from consent.model import ConsentChange
from gateway.pages.troubles import NotShown
from gateway.subject.naming import consent_id_of
from gateway.subject.standing import Standing, standing
from gateway.subject.visit import CompanyVisit

_MOST_CHANGES: Final = 200
"""More than a consent has, unless its operator is suspended and reinstated again and again, or
short data lives end again and again: those in the middle are left out then, and counted."""


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


def history(visit: CompanyVisit, consent_id: str) -> History:
    """Return what happened to a consent, of very much the beginning and the end. Blocks."""
    found = visit.parts.consents.histories([consent_id], limit=_MOST_CHANGES)
    return found.get(consent_id, History())


def deputies_of(visit: CompanyVisit, changes: Sequence[ConsentChange]) -> dict[str, Delegation]:
    """Return the delegations behind changes, by id. Blocks."""
    return visit.parts.delegations.by_id({each.delegation for each in changes if each.delegation})
