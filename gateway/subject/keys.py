"""Keys by which a company signs its receipts itself."""

import asyncio
import json
from typing import Any, Final

from joserfc.jwk import JWKRegistry
from starlette.responses import Response

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.pages.moments import moment
from gateway.pages.troubles import NotShown
from gateway.subject.naming import thumbprint_of
from gateway.subject.visit import CompanyVisit
from operators.jwks import public_key_fault, require_interchangeable

_MOST_CHARACTERS: Final = 4_096
_FULL: Final = (
    RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
    RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
)
_KINDS: Final = {"EC": "ES256 (P-256)", "OKP": "EdDSA (Ed25519)", "RSA": "PS256 (RSA)"}


async def show(visit: CompanyVisit) -> Response:
    """Show the keys that stand, and how to bring one."""
    return await _page(visit, fault="", entered="")


async def register(visit: CompanyVisit) -> Response:
    """Keep a public key; who signed in long ago is asked to again."""
    _require_representative(visit)
    form = await visit.form(visit.purpose("register-key"))
    if not visit.fresh:
        return visit.sent_on("/keys")
    entered = form.get("jwk", "").strip()
    jwk = _public_key(entered)
    if jwk is None:
        return await _page(visit, fault="key", entered=entered[:_MOST_CHARACTERS])
    try:
        await asyncio.to_thread(
            visit.parts.keys.register,
            visit.acting.subject,
            JWKRegistry.import_key(jwk).thumbprint(),
            json.dumps(jwk, separators=(",", ":"), sort_keys=True),
            visit.acting.principal,
            visit.now,
        )
    except Refused as refused:
        if refused.reason not in _FULL:
            raise
        return await _page(visit, fault="conflict", entered=entered)
    return visit.sent_on("/keys")


async def remove(visit: CompanyVisit) -> Response:
    """Remove a key for good."""
    _require_representative(visit)
    thumbprint = thumbprint_of(visit.request.path_params.get("thumbprint", ""))
    await visit.form(visit.purpose("remove-key", thumbprint))
    await asyncio.to_thread(visit.parts.keys.remove, visit.acting.subject, thumbprint, visit.now)
    return visit.sent_on("/keys")


async def _page(visit: CompanyVisit, *, fault: str, entered: str) -> Response:
    _require_representative(visit)
    standing = await asyncio.to_thread(visit.parts.keys.standing, visit.acting.subject)
    return await visit.shown(
        "keys.html",
        tab="/keys",
        status=400 if fault else 200,
        typed=visit.fresh,
        keys=[
            (
                each.thumbprint,
                _KINDS.get(json.loads(each.jwk).get("kty", ""), ""),
                moment(each.registered_at, visit.language),
                visit.browser.form_token(visit.purpose("remove-key", each.thumbprint)),
            )
            for each in standing
        ],
        fault=fault,
        entered=entered,
        token=visit.browser.form_token(visit.purpose("register-key")),
    )


def _public_key(text: str) -> dict[str, Any] | None:
    """Return the members of a public key that matter, None for what is none."""
    try:
        jwk = json.loads(text) if len(text) <= _MOST_CHARACTERS else None
        require_interchangeable(jwk)
    except (ValueError, RecursionError):
        return None
    if not isinstance(jwk, dict) or public_key_fault(jwk) is not None:
        return None
    key = JWKRegistry.import_key(jwk)
    return key.as_dict(private=False)


def _require_representative(visit: CompanyVisit) -> None:
    if not visit.acting.represents:
        raise NotShown("missing")
