"""Answering a request for consent: what is asked, in plain words; granting; refusing."""

import asyncio

from starlette.responses import Response

from consent.delegation import Power
from consent.model import Consent, ConsentNotice
from consent.states import REQUESTED
from gateway.consents.plain import PlainConsent, notice, plain_consent
from gateway.pages.troubles import NotShown
from gateway.subject.lines import consent_line
from gateway.subject.opening import opened
from gateway.subject.standing import Standing
from gateway.subject.visit import CompanyVisit


async def show(visit: CompanyVisit, standing: Standing) -> Response:
    """Show what is asked, to whoever may see it, and the answers to whoever may give one."""
    consent = standing.consent
    plain, shown = _told(visit, consent)
    return await visit.shown(
        "answer.html",
        tab="/inbox" if visit.acting.may(Power.ANSWER) else "/consents",
        line=consent_line(visit.parts.view(), standing, visit.language),
        consent=plain,
        obstacle=await asyncio.to_thread(visit.parts.desk.answerable, consent),
        answers=visit.acting.under(Power.ANSWER, consent) is not None,
        grant_token=visit.browser.form_token(_to_grant(visit, consent, shown)),
        refuse_token=visit.browser.form_token(_to_refuse(visit, consent)),
    )


async def grant(visit: CompanyVisit) -> Response:
    """Take the consent to what the page showed; who signed in long ago is asked to again."""
    consent, delegation = await asyncio.to_thread(_to_answer, visit)
    _, shown = _told(visit, consent)
    await visit.form(_to_grant(visit, consent, shown))
    if not visit.fresh:
        return visit.sent_on(f"/consents/{consent.consent_id}")
    await asyncio.to_thread(
        visit.parts.desk.grant,
        consent.consent_id,
        expected_version=consent.version,
        signer=visit.acting.principal,
        delegation=delegation,
        notice=shown,
    )
    return visit.sent_on(f"/consents/{consent.consent_id}", done="granted")


async def refuse(visit: CompanyVisit) -> Response:
    """Take the refusal, whatever became of the words meanwhile."""
    consent, delegation = await asyncio.to_thread(_to_answer, visit)
    await visit.form(_to_refuse(visit, consent))
    await asyncio.to_thread(
        visit.parts.desk.refuse,
        consent.consent_id,
        expected_version=consent.version,
        signer=visit.acting.principal,
        delegation=delegation,
    )
    return visit.sent_on(f"/consents/{consent.consent_id}", done="refused")


def _to_answer(visit: CompanyVisit) -> tuple[Consent, str]:
    """Return (request the path names, delegation it is answered under, "" for none)."""
    standing = opened(visit)
    delegation = visit.acting.under(Power.ANSWER, standing.consent)
    if delegation is None:
        raise NotShown("missing")
    if standing.state != REQUESTED:
        raise NotShown("changed")
    return standing.consent, delegation


def _told(visit: CompanyVisit, consent: Consent) -> tuple[PlainConsent, ConsentNotice]:
    plain = plain_consent(
        visit.parts.view(),
        consent.operator_id,
        consent.subject,
        consent.terms,
        consent.message,
        visit.language,
        message_in=consent.language,
    )
    return plain, notice(plain, visit.language)


def _to_grant(visit: CompanyVisit, consent: Consent, shown: ConsentNotice) -> str:
    return visit.purpose("grant", consent.consent_id, str(consent.version), shown.text_digest)


def _to_refuse(visit: CompanyVisit, consent: Consent) -> str:
    return visit.purpose("refuse", consent.consent_id)
