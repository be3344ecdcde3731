"""The part of a consent that one other region gave records under, taken back there by its subject.

A region says no more than that its own records are to go (G10): so the consent goes on, and what
that region gave under it becomes a consent of its own, taken back, about which its operator is told,
owes removal, and gives its word, as about any other.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine, func, insert, select

from consent.changing import Act, log
from consent.connections import writing
from consent.lives import plan
from consent.model import NAME_PREFIX, PART_PREFIX, Actor, Consent
from consent.owed import OwedUnder, acknowledge, gone_since, is_told, owe
from consent.part_names import part_id
from consent.regions import regions_under, stir
from consent.rows import locked, row_of
from consent.rules import removal_deadline
from consent.states import LIVE, REVOKED
from consent.tables import CONSENT, OPENED_ELSEWHERE, REGION_ANSWER
from consent.writes import wrote

_A: Final = REGION_ANSWER.c


class SqlConsentParts:
    """Parts of the consents of one store. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def taken_back(self, consent_id: str, region: str, codes: frozenset[str], now: int) -> bool:
        """Write at ``now`` (seconds, UTC) that the subject of a consent kept here has taken back in
        ``region`` what that gave under it, in the divisions ``codes``; tell whether that is new.

        Nothing is written where the region was never asked under it, or all of it is taken back
        already, or is over and what the region gave is gone. Raises Refused RESOURCE_NOT_FOUND.
        """
        with writing(self._engine) as connection:
            consent = locked(connection, consent_id)
            own_id = part_id(consent_id, region)
            last_at = _last_at(connection, consent_id, region)
            if (
                consent.state == REVOKED
                or region not in regions_under(connection, consent_id)
                or is_taken_back(connection, consent_id, region)
                or (consent.state not in LIVE and _is_gone(connection, consent, last_at))
            ):
                return False
            part = _part(consent, own_id, codes, now)
            connection.execute(insert(CONSENT).values(**row_of(part)))
            wrote(connection, CONSENT, own_id)
            deadline = None
            if last_at is not None and not _is_owed(connection, consent, last_at):
                deadline = owe(
                    connection,
                    part,
                    last_at + part.terms.data_life_seconds,
                    removal_deadline(part.terms, REVOKED, last_at, now),
                    now,
                )
            if consent.state in LIVE:
                # The life of the rest may be over already.
                plan(connection, consent_id, now)
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
    parts = [OwedUnder(each, None) for each in parts_under(connection, consent)]
    owed_under = [OwedUnder(consent, last_at), *parts]
    return acknowledge(connection, owed_under, operator_id, removed_at, by, now)


def is_taken_back(connection: Connection, consent_id: str, region: str) -> bool:
    """Tell whether a consent's subject has taken back in ``region`` what that gave under it."""
    query = select(CONSENT.c.consent_id).where(CONSENT.c.consent_id == part_id(consent_id, region))
    return connection.execute(query).first() is not None


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


def _last_at(connection: Connection, consent_id: str, region: str) -> int | None:
    """Return when the region gave last what the consent opened; None for never."""
    query = select(func.max(_A.recorded_at)).where(
        _A.consent == NAME_PREFIX + consent_id, _A.region == region, OPENED_ELSEWHERE
    )
    return connection.execute(query).scalar_one()


def _is_gone(connection: Connection, consent: Consent, last_at: int | None) -> bool:
    """Tell whether an operator's word stands that what was given by ``last_at`` is gone."""
    if last_at is None:
        return False
    life_until = last_at + consent.terms.data_life_seconds
    return gone_since(connection, consent.consent_id, life_until) is not None


def _is_owed(connection: Connection, consent: Consent, last_at: int) -> bool:
    """Tell whether the removal of what was given by ``last_at`` is owed already under a consent in
    force, by an earlier deadline than any there could be now: its life is over."""
    life_until = last_at + consent.terms.data_life_seconds
    return consent.state in LIVE and is_told(connection, consent.consent_id, life_until)
