"""Receipts to keep: the consent as it was granted, and as it stands; what was shown before it;
the subject's signature."""

import asyncio
from typing import Final

from starlette.responses import Response

from consent.delegation import Power
from consent.model import Consent
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.pages.rendering import GUARDS
from gateway.pages.troubles import NotShown
from gateway.subject.opening import history, opened
from gateway.subject.visit import CompanyVisit

_MEDIA_TYPE: Final = "application/jose"
"""A JWS in compact form (RFC 7515 section 9.2.1)."""
_TEXT: Final = "text/plain; charset=utf-8"


async def granted(visit: CompanyVisit) -> Response:
    """Give the receipt that was signed when the consent was granted: of one that another region
    keeps, as that region showed it."""
    consent = await asyncio.to_thread(_receipted, visit)
    return _download(consent.receipt, f"consent-{consent.consent_id}.jws")


async def current(visit: CompanyVisit) -> Response:
    """Give a receipt signed now, of the consent as it stands and all that happened to it."""
    consent = await asyncio.to_thread(_receipted_here, visit)

    def signed() -> str:
        return visit.parts.receipts.signed(consent, history(visit, consent.consent_id))

    receipt = await asyncio.to_thread(signed)
    return _download(receipt, f"consent-{consent.consent_id}-{visit.now}.jws")


async def notice(visit: CompanyVisit) -> Response:
    """Give the text that was shown before the consent was granted, as its digest is of it."""
    consent = await asyncio.to_thread(_receipted, visit)
    if consent.notice is None or not consent.notice.text:
        raise NotShown("missing")
    return _download(consent.notice.text, f"consent-{consent.consent_id}.txt", _TEXT)


async def sign(visit: CompanyVisit) -> Response:
    """Keep the subject's own signature of its receipt."""
    consent = await asyncio.to_thread(_receipted_here, visit)
    if not visit.acting.represents:
        raise NotShown("missing")
    form = await visit.form(visit.purpose("sign", consent.consent_id))
    try:
        await asyncio.to_thread(
            visit.parts.desk.countersign,
            consent.consent_id,
            "".join(form.get("signature", "").split()),
            visit.acting.principal,
        )
    except Refused as refused:
        if refused.reason != RefusalReason.REFUSAL_REASON_INVALID_REQUEST:
            raise
        return visit.sent_on(f"/consents/{consent.consent_id}", done="not-signed")
    return visit.sent_on(f"/consents/{consent.consent_id}", done="signed")


def _receipted(visit: CompanyVisit) -> Consent:
    consent = opened(visit).consent
    if visit.acting.under(Power.SEE, consent) is None or not consent.receipt:
        raise NotShown("missing")
    return consent


def _receipted_here(visit: CompanyVisit) -> Consent:
    """Return a consent of which this gateway signs receipts: another region signs those of its
    own."""
    consent = _receipted(visit)
    if consent.kept_elsewhere:
        raise NotShown("missing")
    return consent


def _download(content: str, name: str, media_type: str = _MEDIA_TYPE) -> Response:
    headers = {**GUARDS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
