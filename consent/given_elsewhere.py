"""What other regions gave under consents, and under the parts of them that were taken back there."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from consent.model import NAME_PREFIX
from consent.part_names import consent_of, is_part, part_id
from consent.tables import (
    CONSENT,
    CONSENT_REMOVAL,
    ELSEWHERE_UNDER_CONSENT,
    OPENED_ELSEWHERE,
    REGION_ANSWER,
)

_A = REGION_ANSWER.c


class PartOf(NamedTuple):
    """The consent (its id) that a part is of, and the region that gave it (its entity
    identifier)."""

    consent_id: str
    region: str


class Given(NamedTuple):
    """What one region gave under a consent: in answer to how many requests, and when it was passed
    on last (seconds, UTC), None for never."""

    answered: int
    last_at: int | None


def parts_of(connection: Connection, consent_ids: Collection[str]) -> dict[str, PartOf]:
    """Return, by id, of what each of these consents is a part: of those that are parts whose
    region gave anything."""
    wholes = _wholes(connection, consent_ids)
    return {
        own_id: of
        for of in _given(connection, wholes.values())
        if (own_id := part_id(*of)) in wholes
    }


def given_elsewhere(connection: Connection, consent_ids: Collection[str]) -> dict[str, Given]:
    """Return what other regions gave under each of these consents, as far as they gave anything.

    Of a part it is what its region gave. Of any other consent ``answered`` is 0, since a question
    to regions is counted as an answer of this gateway; and what is owed by a part of it is of that
    part alone.
    """
    wholes = _wholes(connection, consent_ids)
    given = _given(connection, {*consent_ids, *wholes.values()})
    apart = _owing(connection, {part_id(*of) for of in given})
    found: dict[str, Given] = {}
    for of, its in given.items():
        own_id = part_id(*of)
        if own_id in wholes:
            found[own_id] = its
        if of.consent_id in consent_ids and own_id not in apart and its.last_at is not None:
            known = found.get(of.consent_id, its).last_at
            found[of.consent_id] = Given(0, max(known or 0, its.last_at))
    return found


def _wholes(connection: Connection, consent_ids: Collection[str]) -> dict[str, str]:
    """Return, by id, of which consent each of these that is a part is one."""
    parts = [each for each in consent_ids if is_part(each)]
    query = select(CONSENT.c.consent_id, CONSENT.c.request_id).where(
        CONSENT.c.consent_id.in_(parts)
    )
    rows = connection.execute(query) if parts else ()
    return {own_id: consent_of(own_id, request_id) for own_id, request_id in rows}


def _given(connection: Connection, consent_ids: Collection[str]) -> dict[PartOf, Given]:
    query = (
        select(
            _A.consent,
            _A.region,
            func.count(case((OPENED_ELSEWHERE, _A.request_id)).distinct()),
            func.max(case((OPENED_ELSEWHERE, _A.recorded_at))),
        )
        .where(
            _A.consent.in_([NAME_PREFIX + each for each in consent_ids]), ELSEWHERE_UNDER_CONSENT
        )
        .group_by(_A.consent, _A.region)
    )
    return {
        PartOf(name.removeprefix(NAME_PREFIX), region): Given(*given)
        for name, region, *given in connection.execute(query)
    }


def _owing(connection: Connection, consent_ids: Collection[str]) -> set[str]:
    """Return those of these under which anything is, or was, to be removed."""
    own = CONSENT_REMOVAL.c.consent_id
    query = select(own).where(own.in_(consent_ids)).distinct()
    return set(connection.execute(query).scalars()) if consent_ids else set()
