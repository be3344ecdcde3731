"""Taking a consent back: what happens next, and doing it."""

import asyncio

from starlette.responses import Response

from consent.delegation import Power
from consent.model import Actor
from consent.rules import removal_deadline
from consent.states import REVOKED
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from gateway.consents.elsewhere import keeper_of
from gateway.pages.moments import moment
from gateway.pages.troubles import NotShown
from gateway.subject.lines import consent_line
from gateway.subject.opening import opened
from gateway.subject.standing import Standing
from gateway.subject.visit import CompanyVisit


async def show(visit: CompanyVisit) -> Response:
    """Show what taking it back leads to."""
    standing = await asyncio.to_thread(_to_revoke, visit)
    terms, last = standing.consent.terms, standing.use.last_at
    gone = await asyncio.to_thread(_said_gone, visit, standing)
    deadline = None if last is None else removal_deadline(terms, REVOKED, last, visit.now)
    return await visit.shown(
        "revoke.html",
        tab="/consents",
        line=consent_line(visit.parts.view(), standing, visit.language),
        gone=gone,
        deadline="" if deadline is None else moment(deadline, visit.language),
        past=deadline is not None and deadline <= visit.now,
        kept_here=not standing.consent.kept_elsewhere,
        keeper=keeper_of(standing.consent),
        anonymise=terms.data_life_end == DataLifeEnd.DATA_LIFE_END_ANONYMISE,
        token=visit.browser.form_token(_purpose(visit, standing)),
    )


async def revoke(visit: CompanyVisit) -> Response:
    """End it at once."""
    standing = await asyncio.to_thread(_to_revoke, visit)
    await visit.form(_purpose(visit, standing))
    delegation = visit.acting.under(Power.REVOKE, standing.consent)
    if delegation is None:
        raise NotShown("missing")
    consent_id = standing.consent.consent_id
    await asyncio.to_thread(
        visit.parts.desk.revoke,
        consent_id,
        actor=Actor.SUBJECT,
        actor_id=visit.acting.principal,
        reason="",
        delegation=delegation,
    )
    return visit.sent_on(f"/consents/{consent_id}", done="revoked")


def _to_revoke(visit: CompanyVisit) -> Standing:
    standing = opened(visit)
    if visit.acting.under(Power.REVOKE, standing.consent) is None:
        raise NotShown("missing")
    consent_id = standing.consent.consent_id
    removal = visit.parts.consents.removals([consent_id]).get(consent_id)
    if not standing.revocable(removal):
        raise NotShown("changed")
    return standing


def _said_gone(visit: CompanyVisit, standing: Standing) -> bool:
    """Tell whether the operator's word stands that the last copy of what it got is gone. Blocks."""
    consent, last_at = standing.consent, standing.use.last_at
    if last_at is None:
        return False
    life_until = last_at + consent.terms.data_life_seconds
    duty = visit.parts.consents.duty(consent.consent_id, life_until)
    return duty is not None and duty.acknowledged_at is not None


def _purpose(visit: CompanyVisit, standing: Standing) -> str:
    return visit.purpose("revoke", standing.consent.consent_id)
