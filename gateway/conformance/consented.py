"""Copies served under consents, kept one by one."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from gateway.conformance.holdings_tables import CONSENTED_COPIES
from gateway.conformance.revisions import pages
from gateway.conformance.served import CutCopy

_C = CONSENTED_COPIES.c
_COPIES: Final = select(
    _C.revision_sequence,
    _C.element,
    _C.content_digest,
    _C.disclosed_until,
    _C.consent_id,
    _C.keep_until,
)
_LATER: Final = (
    update(CONSENTED_COPIES)
    .where(
        _C.operator_id == bindparam("of_operator"),
        _C.element == bindparam("of_element"),
        _C.consent_id == bindparam("of_consent"),
    )
    .values(keep_until=bindparam("until"))
)


def keep_copies(connection: Connection, operator_id: str, copies: Iterable[CutCopy]) -> None:
    """Keep copies that an operator was served; of one served again, until when the last may
    be kept."""
    newest = latest(copies)
    known = {
        (row.element, row.consent_id): row
        for row in copies_of(connection, operator_id, {copy.sequence for copy in newest.values()})
    }
    later = [
        {
            "of_operator": operator_id,
            "of_element": copy.element,
            "of_consent": copy.consent_id,
            "until": copy.keep_until,
        }
        for key, copy in newest.items()
        if key in known and known[key].keep_until < copy.keep_until
    ]
    new = [
        {
            "operator_id": operator_id,
            "element": copy.element,
            "consent_id": copy.consent_id,
            "revision_sequence": copy.sequence,
            "content_digest": copy.content_digest,
            "disclosed_until": copy.disclosed_until,
            "keep_until": copy.keep_until,
        }
        for key, copy in newest.items()
        if key not in known
    ]
    if later:
        connection.execute(_LATER, later)
    if new:
        connection.execute(insert(CONSENTED_COPIES), new)


def all_copies(connection: Connection, operator_id: str) -> list[CutCopy]:
    """Return every copy an operator was served under a consent."""
    return [_copy(row) for row in connection.execute(_COPIES.where(_C.operator_id == operator_id))]


def copies_of(
    connection: Connection, operator_id: str, sequences: Collection[int]
) -> list[CutCopy]:
    """Return the copies of some revisions that an operator was served under a consent."""
    own = _COPIES.where(_C.operator_id == operator_id)
    return [
        _copy(row)
        for some in pages(sequences)
        for row in connection.execute(own.where(_C.revision_sequence.in_(some)))
    ]


def latest(copies: Iterable[CutCopy]) -> Mapping[tuple[bytes, str], CutCopy]:
    """Return of copies alike, under one consent, the one that may be kept longest."""
    found: dict[tuple[bytes, str], CutCopy] = {}
    for copy in copies:
        key = copy.element, copy.consent_id
        if key not in found or found[key].keep_until < copy.keep_until:
            found[key] = copy
    return found


def _copy(row: Row[*tuple[Any, ...]]) -> CutCopy:
    sequence, element, content_digest, *rest = row
    return CutCopy(sequence, bytes(element), bytes(content_digest), *rest)
