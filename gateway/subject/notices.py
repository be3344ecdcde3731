"""Notices: what became of a company's consents without its doing, or by a deputy's, who became a
deputy, and which operators have not told that they removed what they held under one."""

import asyncio
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from consent.delegation import Power
from consent.model import Consent, ConsentChange
from consent.overdue import LateRemoval
from gateway.pages.troubles import NotShown
from gateway.subject.deputies import delegation_line
from gateway.subject.lines import OverdueLine, change_line, overdue_line
from gateway.subject.opening import deputies_of
from gateway.subject.standing import newly_accepted
from gateway.subject.visit import CompanyVisit

_PAGE: Final = 30
_MOST_DIGITS: Final = 18


async def show(visit: CompanyVisit) -> Response:
    """Show notices, newest first, and which of them are new to this person."""
    if not visit.acting.may(Power.SEE):
        raise NotShown("missing")
    read, unread = await asyncio.to_thread(_read, visit)
    notices = read[:_PAGE]
    overdue = [] if _before(visit) else await asyncio.to_thread(_overdue, visit)
    view, mine = visit.parts.view(), await asyncio.to_thread(_of_mine, visit, notices)
    deputies = await asyncio.to_thread(deputies_of, visit, notices)
    accepted = (
        ()
        if _before(visit)
        else await asyncio.to_thread(newly_accepted, visit.parts.notices, visit.acting)
    )
    newest = notices[0].sequence if notices else 0
    return await visit.shown(
        "notices.html",
        tab="/notices",
        # The unread ones are the newest, whichever page this is.
        notices=[
            (
                change_line(view, each, mine[each.consent_id], deputies, visit.language),
                _before(visit) is None and number < unread,
            )
            for number, each in enumerate(notices)
            if each.consent_id in mine
        ],
        overdue=overdue,
        accepted=[delegation_line(view, each, visit.now, visit.language) for each in accepted],
        # Others may accept within this very second: what was shown in it is shown again.
        accepted_at=min(
            max((each.accepted_at or 0 for each in accepted), default=0), visit.now - 1
        ),
        next_before=str(notices[-1].sequence) if len(read) > _PAGE else "",
        newest=newest,
        seen_token=visit.browser.form_token(visit.purpose("seen", str(newest)))
        if (unread or accepted) and _before(visit) is None
        else "",
    )


async def seen(visit: CompanyVisit) -> Response:
    """Remember that this person has seen the notices that were shown."""
    newest = _sequence(visit.request.path_params.get("newest", ""))
    if newest is None:
        raise NotShown("missing")
    form = await visit.form(visit.purpose("seen", str(newest)))
    notices, whose = visit.parts.notices, (visit.acting.principal, visit.acting.subject)
    await asyncio.to_thread(notices.seen, *whose, newest)
    accepted_at = _sequence(form.get("accepted", ""))
    if accepted_at is not None:
        # Whatever is sent: of what is yet to come nothing was seen.
        await asyncio.to_thread(notices.accepted_seen, *whose, min(accepted_at, visit.now - 1))
    return visit.sent_on("/notices")


def _read(visit: CompanyVisit) -> tuple[tuple[ConsentChange, ...], int]:
    """Return (the notices of a page, and one more where there are any; how many are unread).
    Blocks."""
    notices, subject = visit.parts.notices, visit.acting.subject
    return (
        notices.notices(subject, before=_before(visit), limit=_PAGE + 1),
        notices.unread(visit.acting.principal, subject),
    )


def _overdue(visit: CompanyVisit) -> list[OverdueLine]:
    """Return the removals that are overdue, the longest first, as far as this person may see
    the consents they are of. Blocks."""
    parts, now = visit.parts, visit.now
    late = parts.overdue.of_subject(visit.acting.subject, now, _PAGE)
    removals = parts.consents.removals([each.consent_id for each in late])
    mine = _of_mine(visit, late)
    return [
        overdue_line(parts.view(), mine[consent_id], removals[consent_id], now, visit.language)
        for consent_id in (each.consent_id for each in late)
        if consent_id in mine and consent_id in removals
    ]


def _of_mine(
    visit: CompanyVisit, notices: Sequence[ConsentChange | LateRemoval]
) -> dict[str, Consent]:
    """Return, by id, the consents whose notices this person may see. Blocks."""
    found = visit.parts.consents.readable({each.consent_id for each in notices})
    return {
        consent_id: each
        for consent_id, each in found.items()
        if visit.acting.under(Power.SEE, each) is not None
    }


def _before(visit: CompanyVisit) -> int | None:
    return _sequence(visit.request.query_params.get("before", ""))


def _sequence(text: str) -> int | None:
    """Return the place in the log that ``text`` is; None where it is none."""
    fits = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if fits else None
