"""One consent as the row it is kept in: written, found by its request, and locked."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, select

from consent.connections import insist
from consent.model import Consent
from consent.states import due_at
from consent.tables import CONSENT
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

_NONE: Final = frozenset[str]()


def earlier_request(connection: Connection, consent: Consent) -> Consent | None:
    """Return the consent that was asked for by the same request, None for a new request.

    Raises Refused REQUEST_ID_REUSED where that asked for something else.
    """
    query = select(CONSENT.c.document).where(
        CONSENT.c.operator_id == consent.operator_id,
        CONSENT.c.request_id == consent.request_id,
    )
    document = connection.execute(query).scalar_one_or_none()
    if document is None:
        return None
    earlier = Consent.model_validate_json(document)
    if _asked(earlier) != _asked(consent):
        raise Refused(
            RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
            "request_id was used before, with another payload; use a fresh one.",
        )
    return earlier


def locked(connection: Connection, consent_id: str) -> Consent:
    """Return a consent that nobody else changes until the transaction ends.

    Raises Refused RESOURCE_NOT_FOUND.
    """
    query = select(CONSENT.c.document).where(CONSENT.c.consent_id == consent_id).with_for_update()
    document = insist(connection, query).scalar_one_or_none()
    if document is None:
        raise Refused(RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND, "There is no such consent.")
    return Consent.model_validate_json(document)


def _asked(consent: Consent) -> Mapping[str, object]:
    """Return what must be equal for a request to be a retry.

    Which fields "all" are depends on when it is asked, and does not count. Nor does the
    language of the code's way, which is that its page was shown in.
    """
    told = {"subject", "operator_id", "client_id", "message", "way"}
    asked = consent.model_dump(include=told if consent.way == "code" else told | {"language"})
    items = [
        (each.item, _NONE if each.all_declared else each.fields) for each in consent.terms.items
    ]
    return {**asked, "terms": consent.terms.model_dump(exclude={"items"}), "items": items}


def row_of(consent: Consent) -> dict[str, object]:
    """Return a consent as its row."""
    return {
        "consent_id": consent.consent_id,
        "version": consent.version,
        "state": consent.state,
        "subject": consent.subject,
        "operator_id": consent.operator_id,
        "client_id": consent.client_id,
        "request_id": consent.request_id,
        "due_at": due_at(consent),
        "document": consent.model_dump_json(),
    }
