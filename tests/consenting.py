"""Consents in a store, asked for and answered without pages or services."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from consent.changing import Act
from consent.model import (
    WITHIN_PERIOD,
    Actor,
    Consent,
    ConsentItem,
    ConsentTerms,
)
from consent.sql import SqlConsents
from consent.states import REQUESTED, Move
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from creditgate.v1.vocabulary_pb2 import Purpose
from tests.clock import NOW

DAY: Final = 86_400
_numbers: Final = count(1)


def terms(items: Sequence[str | ConsentItem], **changed: Any) -> ConsentTerms:
    """Return terms for any use of ``items`` in bidding, everywhere, for thirty days."""
    usual: dict[str, Any] = {
        "items": tuple(ConsentItem(item=item) if isinstance(item, str) else item for item in items),
        "purposes": frozenset({Purpose.PURPOSE_BIDDING}),
        "access_mode": WITHIN_PERIOD,
        "valid_from": NOW - 60,
        "valid_until": NOW + 30 * DAY,
        "data_life_seconds": 90 * DAY,
        "data_life_end": DataLifeEnd.DATA_LIFE_END_DELETE,
        "regions": frozenset({"*"}),
    }
    return ConsentTerms(**usual | changed)


def requested(subject: str, agreed: ConsentTerms, operator_id: str = "alpha") -> Consent:
    """Return a consent that an operator asks for, of no store yet."""
    number = next(_numbers)
    return Consent(
        consent_id=f"{NOW:010x}-{number:024x}",
        version=1,
        state=REQUESTED,
        subject=subject,
        operator_id=operator_id,
        client_id=f"{operator_id}-client",
        request_id=f"consent-{number}",
        way="inbox",
        terms=agreed,
        requested_at=NOW - 60,
        answer_until=NOW + DAY,
        changed_at=NOW - 60,
    )


def asked(
    consents: SqlConsents, subject: str, agreed: ConsentTerms, *, operator_id: str = "alpha"
) -> Consent:
    """Ask for a consent."""
    consent = requested(subject, agreed, operator_id)
    return consents.add(consent, Act(Actor.OPERATOR, consent.client_id, "", NOW - 60))


def moved(consents: SqlConsents, consent: Consent, move: Move, at: int = NOW) -> Consent:
    """Move a consent, as its subject where that can."""
    return consents.move(consent.consent_id, move, Act(Actor.SUBJECT, "", "", at))


def given(
    consents: SqlConsents, subject: str, agreed: ConsentTerms, *, operator_id: str = "alpha"
) -> Consent:
    """Return a consent that was asked for and granted."""
    consent = asked(consents, subject, agreed, operator_id=operator_id)
    return moved(consents, consent, "grant", NOW - 30)
