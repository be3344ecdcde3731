"""Copies served under consents, kept one by one."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, case, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.conformance.holdings_tables import CONSENTED_COPIES
from gateway.conformance.served import CutCopy
from gateway.storage.paging import pages

_C = CONSENTED_COPIES.c
_KEY: Final = (_C.operator_id, _C.element, _C.consent_id)
_COPIES: Final = select(
    _C.revision_sequence,
    _C.element,
    _C.content_digest,
    _C.disclosed_until,
    _C.consent_id,
    _C.keep_until,
)
_ADD: Final = {
    "sqlite": sqlite.insert(CONSENTED_COPIES),
    "postgresql": postgresql.insert(CONSENTED_COPIES),
}


def keep_copies(connection: Connection, operator_id: str, copies: Iterable[CutCopy]) -> None:
    """Keep copies that an operator was served.

    One copy can be of several revisions: where a correction changed only what the consent
    does not open. It counts as of the newest, and may be kept until the last that was served
    must be gone.
    """
    rows: list[dict[str, object]] = [
        {
            "operator_id": operator_id,
            "element": copy.element,
            "consent_id": copy.consent_id,
            "revision_sequence": copy.sequence,
            "content_digest": copy.content_digest,
            "disclosed_until": copy.disclosed_until,
            "keep_until": copy.keep_until,
        }
        for copy in latest(copies).values()
    ]
    if not rows:
        return
    add = _ADD[connection.dialect.name]
    kept = {
        name: case((_C[name] > add.excluded[name], _C[name]), else_=add.excluded[name])
        for name in ("revision_sequence", "keep_until")
    }
    connection.execute(add.on_conflict_do_update(index_elements=_KEY, set_=kept), rows)


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
    """Return of copies alike, under one consent, one: of the newest revision, to be kept as
    long as the last of them."""
    found: dict[tuple[bytes, str], CutCopy] = {}
    for copy in copies:
        key = copy.element, copy.consent_id
        known = found.get(key, copy)
        found[key] = copy._replace(
            sequence=max(copy.sequence, known.sequence),
            keep_until=max(copy.keep_until, known.keep_until),
        )
    return found


def _copy(row: Row[*tuple[Any, ...]]) -> CutCopy:
    sequence, element, content_digest, *rest = row
    return CutCopy(sequence, bytes(element), bytes(content_digest), *rest)
