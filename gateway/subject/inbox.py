"""The inbox: requests for consent that wait for an answer."""

import asyncio

from starlette.responses import Response

from consent.delegation import Power
from gateway.pages.troubles import NotShown
from gateway.subject.lines import consent_line
from gateway.subject.standing import waiting
from gateway.subject.visit import CompanyVisit


async def show(visit: CompanyVisit) -> Response:
    """Show what waits for an answer of this company."""
    if not visit.acting.may(Power.ANSWER):
        raise NotShown("missing")
    found = await asyncio.to_thread(waiting, visit.parts.consents, visit.acting)
    view = visit.parts.view()
    return await visit.shown(
        "inbox.html",
        tab="/inbox",
        requests=[consent_line(view, each, visit.language) for each in found],
    )
