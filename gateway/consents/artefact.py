"""The artefact of a consent: what its receipts say, made from what is stored. Pure."""

from typing import Any

from consent.histories import History
from consent.model import SCHEMA_VERSION, Actor, Consent, ConsentTerms
from consent.states import GRANTED, REQUESTED
from creditgate.consent_artefact import (
    ACCESS_MODES,
    ANSWER_FORMS,
    DATA_LIFE_ENDS,
    STATES,
    ConsentArtefact,
)
from creditgate.refusal import Refused
from creditgate.signed_document import PURPOSES
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.signin.identity import REPRESENTATIVE_PREFIX
from operators.model import Operator


def artefact(
    consent: Consent,
    history: History,
    issuer: str,
    now: int,
    operator: Operator,
) -> dict[str, Any]:
    """Return the artefact of a consent that was granted, as its receipt carries it.

    ``history`` is what happened to it as logged. A receipt is signed within the
    change that grants, before that is logged: the request and the grant are then told from
    the consent itself. ``now`` is when the receipt is signed (seconds, UTC), ``operator`` the
    operator as it is known then. Raises Refused
    STATE_CONFLICT where the consent was never granted: a receipt must not be mistaken.
    """
    if consent.granted_at is None or consent.notice is None or not consent.signer:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The consent was never granted, so there is no receipt of it.",
        )
    document = {
        "iss": issuer,
        "iat": now,
        "schema_version": SCHEMA_VERSION,
        "consent": consent.name,
        "version": consent.version,
        "state": STATES[consent.state],
        "subject": consent.subject,
        "representative": representative(consent.signer),
        "operator_id": consent.operator_id,
        "operator_name": operator.display_name,
        "operator_uscc": operator.uscc,
        "client_id": consent.client_id,
        "way": consent.way,
        "terms": _terms(consent.terms),
        "message": consent.message,
        "language": consent.language,
        "notice": consent.notice.model_dump(exclude={"text"}),
        "requested_at": consent.requested_at,
        "granted_at": consent.granted_at,
        "withdraw_at": subject_page(issuer, consent.consent_id),
        "history": _history(consent, history),
    }
    if history.left_out:
        document["history_left_out"] = history.left_out
    if consent.delegation:
        document["delegation"] = f"delegations/{consent.delegation}"
    if consent.ended_at is not None:
        document["ended_at"] = consent.ended_at
    return ConsentArtefact.model_validate(document).as_json()


def representative(signer: str) -> str:
    """Return the resource name of who signed, ``signer`` being their principal."""
    return f"representatives/{signer.removeprefix(REPRESENTATIVE_PREFIX)}"


def subject_page(issuer: str, consent_id: str) -> str:
    """Return the URL of the page where the subject sees, answers and takes back a consent."""
    return f"{issuer.rstrip('/')}/my/consents/{consent_id}"


def _terms(terms: ConsentTerms) -> dict[str, Any]:
    document: dict[str, Any] = {
        "items": [{"item": each.item, "fields": sorted(each.fields)} for each in terms.items],
        "purposes": [PURPOSES[number] for number in sorted(terms.purposes)],
        "answer_form": ANSWER_FORMS[terms.answer_form],
        "access_mode": ACCESS_MODES[terms.access_mode],
        "validity": {"from": terms.valid_from, "until": terms.valid_until},
        "data_life": terms.data_life_seconds,
        "data_life_end": DATA_LIFE_ENDS[terms.data_life_end],
        "regions": sorted(terms.regions),
    }
    if terms.times_per_day:
        document["times_per_day"] = terms.times_per_day
    return document


def _history(consent: Consent, history: History) -> list[dict[str, Any]]:
    events = [_event(each.state, each.actor, each.at, each.reason) for each in history.told]
    states = {change.state for change in history.told}
    if REQUESTED not in states:
        events.insert(0, _event(REQUESTED, Actor.OPERATOR, consent.requested_at))
    if GRANTED not in states and consent.granted_at is not None:
        # A grant follows the request at once: nothing else can come between.
        events.insert(1, _event(GRANTED, Actor.SUBJECT, consent.granted_at))
    return events


def _event(
    state: ConsentState.ValueType, actor: Actor, at: int, reason: str = ""
) -> dict[str, Any]:
    return {"state": STATES[state], "actor": actor.value.upper(), "at": at, "reason": reason}
