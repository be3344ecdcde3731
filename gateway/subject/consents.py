"""The consents of a company: the list, and one with all that belongs to it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from consent.delegation import Delegation, Power
from consent.histories import History
from consent.model import Consent
from consent.removals import Duties, Removal
from consent.states import FINAL, LIVE, REQUESTED
from consent.subject_keys import SubjectKey
from creditgate.signed_document import KEYS_PATH
from gateway.consents.elsewhere import keeper_of
from gateway.consents.plain import plain_consent
from gateway.pages.rendering import Language
from gateway.subject import answer
from gateway.subject.lines import (
    RemovalLine,
    change_line,
    consent_line,
    removal_line,
    removals_left_out,
)
from gateway.subject.naming import consent_id_of
from gateway.subject.opening import deputies_of, history, opened
from gateway.subject.region_lines import region_removal_line
from gateway.subject.standing import Standing, found
from gateway.subject.visit import CompanyVisit

_MOST_DUTIES: Final = 20


async def show_all(visit: CompanyVisit) -> Response:
    """Show the consents in force, or with ``show=ended`` those that are over."""
    ended = visit.request.query_params.get("show") == "ended"
    acting, parts = visit.acting, visit.parts
    page = await asyncio.to_thread(
        found,
        parts.consents,
        acting,
        FINAL if ended else LIVE,
        before=consent_id_of(visit.request.query_params.get("before", "")),
    )
    view = parts.view()
    return await visit.shown(
        "consents.html",
        tab="/consents",
        ended=ended,
        consents=[
            (
                consent_line(view, each, visit.language),
                acting.under(Power.REVOKE, each.consent) is not None,
            )
            for each in page.consents
        ],
        next_before=page.next_before,
    )


async def show(visit: CompanyVisit) -> Response:
    """Show one consent: to be answered, or what it allows and became of it."""
    whole = await asyncio.to_thread(_whole, visit)
    if whole.standing.state == REQUESTED:
        return await answer.show(visit, whole.standing)
    parts, consent = visit.parts, whole.standing.consent
    view = parts.view()
    acting, language = visit.acting, visit.language
    sees = acting.under(Power.SEE, consent) is not None
    duties = whole.duties
    # Of one that another region keeps, that region signs receipts.
    kept_here = not consent.kept_elsewhere
    keeper = keeper_of(consent)
    receipt_issuer = parts.issuer if kept_here else keeper.region if keeper else ""
    signable = kept_here and acting.represents and bool(consent.receipt) and bool(whole.keys)
    return await visit.shown(
        "consent.html",
        tab="/consents",
        line=consent_line(view, whole.standing, language),
        consent=plain_consent(
            view,
            consent.operator_id,
            consent.subject,
            consent.terms,
            consent.message,
            language,
            message_in=consent.language,
        ),
        kept_here=kept_here,
        keeper=keeper,
        receipt_issuer=receipt_issuer,
        receipt_keys=receipt_issuer.rstrip("/") + KEYS_PATH,
        done=visit.request.query_params.get("done", ""),
        revocable=whole.standing.revocable(None if duties is None else duties.first)
        and acting.under(Power.REVOKE, consent) is not None,
        sees=sees,
        histories=[
            [change_line(view, each, consent, whole.deputies, language) for each in some]
            for some in (whole.history.first, whole.history.last)
            if some
        ]
        if sees
        else [],
        history_left_out=whole.history.left_out,
        removals=_removals(consent, duties, visit.now, language) if sees and duties else [],
        has_receipt=sees and bool(consent.receipt),
        has_notice=consent.notice is not None and bool(consent.notice.text),
        signed=bool(consent.subject_signature),
        signable=signable,
        typed=signable and not consent.subject_signature,
        sign_token=visit.browser.form_token(visit.purpose("sign", consent.consent_id)),
    )


def _removals(consent: Consent, duties: Duties, now: int, language: Language) -> list[RemovalLine]:
    """Return what became of each duty, what is to be reported first among them, the newest last."""
    first = [] if duties.first in duties.listed else [duties.first]
    lines = [_removal(consent, each, now, language) for each in (*first, *duties.listed)]
    if duties.left_out > len(first):
        lines.insert(len(first), removals_left_out(duties, len(first), language))
    # What was given piece by piece is owed piece by piece, and told alike.
    return list(dict.fromkeys(lines))


def _removal(consent: Consent, removal: Removal, now: int, language: Language) -> RemovalLine:
    if consent.kept_elsewhere:
        return region_removal_line(removal, language)
    return removal_line(removal, now, language)


@dataclass(frozen=True, slots=True)
class _Whole:
    standing: Standing
    history: History
    deputies: Mapping[str, Delegation]
    duties: Duties | None
    keys: Sequence[SubjectKey]


def _whole(visit: CompanyVisit) -> _Whole:
    one, parts = opened(visit), visit.parts
    consent_id = one.consent.consent_id
    happened = history(visit, consent_id)
    return _Whole(
        one,
        happened,
        deputies_of(visit, happened.told),
        parts.consents.duties([consent_id], limit=_MOST_DUTIES).get(consent_id),
        parts.keys.standing(visit.acting.subject),
    )
