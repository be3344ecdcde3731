"""The part of a consent that one other region gave records under, taken back there by its subject.

A region says no more than that its own records are to go (G10): so the consent goes on, and what
that region gave under it becomes a consent of its own, taken back, about which its operator is told,
owes removal, and gives its word, as about any other.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, Engine, func, insert, select

from consent.changing import Act, log
from consent.connections import writing
from consent.model import NAME_PREFIX, PART_PREFIX, Actor, Consent
from consent.owed import acknowledge, is_gone, owe
from consent.part_names import part_id
from consent.regions import LATE_SECONDS, regions_under, stir
from consent.rows import locked, row_of
from consent.rules import removal_deadline
from consent.states import REVOKED
from consent.tables import CONSENT, CONSENT_REGION, OPENED_ELSEWHERE, REGION_ANSWER
from consent.writes import wrote
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

_A: Final = REGION_ANSWER.c
_R: Final = CONSENT_REGION.c


class SqlConsentParts:
    """Parts of the consents of one store. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def taken_back(self, consent_id: str, region: str, codes: frozenset[str], now: int) -> bool:
        """Write at ``now`` (seconds, UTC) that the subject of a consent kept here has taken back in
        ``region`` what that gave under it, in the divisions ``codes``; tell whether that is new.

        Nothing is written where the region was never asked under it, or all of it is taken back,
        or gone, already. Raises Refused RESOURCE_NOT_FOUND.
        """
        with writing(self._engine) as connection:
            consent = locked(connection, consent_id)
            own_id = part_id(consent_id, region)
            known = select(CONSENT.c.consent_id).where(CONSENT.c.consent_id == own_id)
            if (
                consent.state == REVOKED
                or region not in regions_under(connection, consent_id)
                or connection.execute(known).first() is not None
                or is_gone(connection, consent_id)
            ):
                return False
            part = _part(consent, own_id, codes, now)
            connection.execute(insert(CONSENT).values(**row_of(part)))
            wrote(connection, CONSENT, own_id)
            deadline = None
            last_at = _last_at(connection, consent_id, region, now)
            if last_at is not None:
                deadline = owe(
                    connection,
                    part,
                    last_at + part.terms.data_life_seconds,
                    removal_deadline(part.terms, REVOKED, last_at, now),
                    now,
                )
            stir(connection, consent_id, now)
            act = Act(Actor.SUBJECT, "", f"{region} {consent.name}", now)
            log(connection, part, act, deadline)
            return True


def acknowledge_all(
    connection: Connection,
    consent: Consent,
    operator_id: str,
    last_at: int | None,
    removed_at: int,
    by: str,
    now: int,
) -> int:
    """Write an operator's word on a consent, as `consent.owed.acknowledge`, and on the parts of it
    that were taken back: what it had under it is gone."""
    missing: Refused | None = None
    new = owed = 0
    try:
        new = acknowledge(connection, consent, operator_id, last_at, removed_at, by, now)
    except Refused as refused:
        if refused.reason != RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND:
            raise
        missing = refused
    for part in parts_under(connection, consent):
        with suppress(Refused):
            new += acknowledge(connection, part, operator_id, None, removed_at, by, now)
            owed += 1
    if missing is not None and not owed:
        raise missing
    return new


def parts_under(connection: Connection, consent: Consent) -> Sequence[Consent]:
    """Return the parts of a consent that were taken back."""
    ids = [
        part_id(consent.consent_id, each) for each in regions_under(connection, consent.consent_id)
    ]
    query = select(CONSENT.c.document).where(CONSENT.c.consent_id.in_(ids))
    return [
        Consent.model_validate_json(document)
        for document in (connection.execute(query).scalars() if ids else ())
    ]


def _part(consent: Consent, own_id: str, codes: frozenset[str], now: int) -> Consent:
    return Consent.model_validate(
        {
            **consent.model_dump(),
            "consent_id": own_id,
            "version": 1,
            "state": REVOKED,
            "request_id": f"{PART_PREFIX}{consent.consent_id}:{own_id[-8:]}",
            "terms": {**consent.terms.model_dump(), "regions": codes or consent.terms.regions},
            "changed_at": now,
            "ended_at": now,
            "subject_signature": "",
            "subject_key": "",
        }
    )


def _last_at(connection: Connection, consent_id: str, region: str, now: int) -> int | None:
    """Return when the region gave last, or will have, what the consent opened; None for never."""
    query = select(func.max(_A.recorded_at)).where(
        _A.consent == NAME_PREFIX + consent_id, _A.region == region, OPENED_ELSEWHERE
    )
    given_at = connection.execute(query).scalar_one()
    asked = select(_R.asked_at).where(_R.consent_id == consent_id, _R.region == region)
    asked_at = connection.execute(asked).scalar_one_or_none()
    under_way = asked_at is not None and now < asked_at + LATE_SECONDS
    return max(now, given_at or now) if under_way else given_at
