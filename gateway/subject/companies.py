"""For whom one acts: the first page, choosing a company, and links without one."""

import asyncio

from starlette.responses import Response

from consent.delegation import Power, live
from gateway.pages.rendering import see_other
from gateway.pages.troubles import NotShown
from gateway.subject.acting import acting_for, companies
from gateway.subject.deputies import delegation_line
from gateway.subject.invitations import to_give_up
from gateway.subject.naming import consent_id_of
from gateway.subject.standing import standing
from gateway.subject.visit import CompanyVisit, Visit


async def enter(visit: Visit) -> Response:
    """Go on to the one company there is, or to choosing one."""
    mine = await asyncio.to_thread(visit.parts.delegations.of_deputy, visit.identity.representative)
    found = companies(visit.identity, mine, visit.now)
    return see_other(visit.path(f"/my/{found[0]}" if len(found) == 1 else "/my/companies"))


async def show(visit: Visit) -> Response:
    """Show for whom one acts, by what right, and how to give a delegation up."""
    mine = await asyncio.to_thread(visit.parts.delegations.of_deputy, visit.identity.representative)
    view = visit.parts.view()
    return visit.page(
        "companies.html",
        own=visit.identity.uscc,
        everywhere_token=visit.browser.form_token("sign-out-everywhere"),
        delegations=[
            (
                delegation_line(view, each, visit.now, visit.language),
                visit.browser.form_token(to_give_up(each.delegation_id)),
            )
            for each in mine
            if live(each, visit.now)
        ],
    )


async def open_company(visit: CompanyVisit) -> Response:
    """Go on to the first page of a company that one may see."""
    return visit.sent_on("/inbox" if visit.acting.may(Power.ANSWER) else "/consents")


async def find_consent(visit: Visit) -> Response:
    """Go on to a consent, with the company it is of: the link that operators pass on."""
    consent_id = consent_id_of(visit.request.path_params.get("consent_id", ""))
    if not consent_id:
        raise NotShown("missing")
    found = await asyncio.to_thread(standing, visit.parts.consents, consent_id, visit.now)
    if found is None:
        raise NotShown("missing")
    consent = found.consent
    mine = await asyncio.to_thread(visit.parts.delegations.of_deputy, visit.identity.representative)
    acting = acting_for(visit.identity, mine, consent.subject, visit.now)
    if acting is None or not acting.may_open(consent, found.state):
        raise NotShown("missing")
    return see_other(visit.path(f"/my/{consent.subject}/consents/{consent_id}"))
