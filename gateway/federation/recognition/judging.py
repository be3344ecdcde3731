"""What of a verified document is recognised for who asks, on the state of an instant. Pure."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from consent.model import Consent
from consent.rules import Gap
from creditgate.recognition import RecognitionPart
from creditgate.refusal import Refused
from creditgate.transparency.linked import Pinned
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Openness, Purpose
from gateway.authenticate.caller import Caller
from gateway.authorise.opening import gap_refusal
from gateway.authorise.shown import opened_to
from gateway.authorise.stopping import require_running
from gateway.authority.view import AuthorityView
from gateway.federation.recognition.consented import UnderConsent, consented_parts, required
from gateway.federation.recognition.rules import (
    Document,
    expiry,
    parts_of,
    require_recognised,
    transfer_of,
)
from gateway.federation.recognition.verifying import over
from gateway.federation.trust.book import Region
from operators.recognition import CrossBorderTransfer, RecognitionRule
from operators.rules import require_licences


class RecognitionAsk(NamedTuple):
    """Who asks for recognition, and under what; ``consent`` is a resource name, or ""."""

    caller: Caller
    region: Region
    log: Pinned
    purpose: Purpose.ValueType
    request_id: str
    digest: bytes
    transfer_id: str
    consent: str
    scope: str


class Judged(NamedTuple):
    """A document as it is recognised by what was known at ``at`` (seconds, UTC).

    ``under`` is what of it takes a consent, None where nothing does.
    """

    at: int
    parts: Sequence[RecognitionPart]
    rule_version: int
    transfer: CrossBorderTransfer | None
    expires_at: int
    under: UnderConsent | None


def judged(
    view: AuthorityView,
    ask: RecognitionAsk,
    document: Document,
    consent: Consent | None,
    now: int,
) -> Judged:
    """Judge a document that verified at ``now`` (seconds, UTC), by the consent shown with it, None
    for none. Raises Refused as `gateway.federation.recognition.service.RecognitionDesk` tells."""
    authority, operator_id = view.authority, ask.caller.operator_id
    licences = require_licences(authority, ask.caller.client_id, now)
    rule = rule_of(view, ask.region, ask.purpose)
    is_open = opened_to(authority, ask.caller, document.subject, ask.scope, ask.purpose, now)
    codes = {record.region for record in document.records} or {*ask.region.codes}

    def licensed(item: str) -> bool:
        # As for records of that region themselves, whatever they are called here.
        return all(is_open(item, code) for code in codes)

    parts = parts_of(document, rule, licensed)
    require_running(
        authority.brakes, operator_id, sorted({part.item for part in parts if part.item})
    )
    require_recognised(parts)
    expires_at = expiry(document, rule)
    transfer = None
    if ask.transfer_id:
        transfer = transfer_of(
            authority.recognitions,
            ask.transfer_id,
            operator_id,
            document,
            parts,
            ask.purpose,
            now,
        )
        expires_at = min(expires_at, transfer.expires_at)
    mapped = consented_parts(document, rule, parts, partial(_takes_consent, view))
    under = None
    if mapped and consent is None and ask.consent:
        raise gap_refusal(Gap(RefusalReason.REFUSAL_REASON_CONSENT_UNKNOWN))
    if mapped:
        under = required(consent, mapped, document, codes, licences, ask.purpose, now)
        expires_at = min(expires_at, under.until)
    if now >= expires_at:
        raise over("The document was issued too long ago to be recognised.")
    return Judged(now, parts, rule.version, transfer, expires_at, under)


def rule_of(view: AuthorityView, region: Region, purpose: int) -> RecognitionRule:
    """Return the mapping table of a region that is in force for ``purpose``. Raises Refused
    REGION_NOT_ALLOWED, PURPOSE_NOT_ALLOWED."""
    rule = view.authority.recognitions.rule(region.entity_id)
    if rule is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_REGION_NOT_ALLOWED,
            "No mapping table for documents of that region is in force.",
        )
    if purpose not in rule.purposes:
        raise Refused(
            RefusalReason.REFUSAL_REASON_PURPOSE_NOT_ALLOWED,
            "Documents of that region are not recognised for this purpose.",
        )
    return rule


def _takes_consent(view: AuthorityView, item: str) -> bool:
    """Tell whether an item of this gateway is not public."""
    known = view.catalogue.get(item)
    return known is not None and known.openness != Openness.OPENNESS_PUBLIC
