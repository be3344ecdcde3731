"""Copies served under consents, kept one by one."""

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, bindparam, select

from gateway.conformance.holdings_tables import CONSENTED_COPIES
from gateway.conformance.served import CutCopy
from gateway.storage.paging import pages
from gateway.storage.statements import adding, write_rows

_C = CONSENTED_COPIES.c
_COPIES: Final = select(
    _C.revision_sequence,
    _C.element,
    _C.content_digest,
    _C.disclosed_until,
    _C.consent_id,
    _C.keep_until,
)
_ALL: Final = _COPIES.where(_C.operator_id == bindparam("operator"))


def keep_copies(connection: Connection, operator_id: str, copies: Iterable[CutCopy]) -> None:
    """Keep copies that an operator was served, of each revision until the last of it must be
    gone."""
    rows = sorted(
        (
            operator_id,
            copy.sequence,
            copy.consent_id,
            copy.element,
            copy.content_digest,
            copy.disclosed_until,
            copy.keep_until,
        )
        for copy in latest(copies).values()
    )
    write_rows(connection, _keeping, CONSENTED_COPIES, rows)


@cache
def _keeping(table: Table, rows: int, sqlite: bool) -> str:
    key = ",".join(column.name for column in table.primary_key)
    # Of a copy that is to be kept as long already nothing is written.
    return (
        f"{adding(table, rows, sqlite)} ON CONFLICT ({key}) DO UPDATE"
        " SET keep_until=excluded.keep_until"
        f" WHERE {table.name}.keep_until<excluded.keep_until"
    )


def all_copies(connection: Connection, operator_id: str) -> list[CutCopy]:
    """Return every copy an operator was served under a consent."""
    return [_copy(row) for row in connection.execute(_ALL, {"operator": operator_id})]


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


def latest(copies: Iterable[CutCopy]) -> Mapping[tuple[int, str], CutCopy]:
    """Return of the copies of a revision under one consent, which are all alike, the one to be
    kept the longest."""
    found: dict[tuple[int, str], CutCopy] = {}
    for copy in copies:
        key = copy.sequence, copy.consent_id
        known = found.get(key)
        if known is None or known.keep_until < copy.keep_until:
            found[key] = copy
    return found


def _copy(row: Row[*tuple[Any, ...]]) -> CutCopy:
    sequence, element, content_digest, *rest = row
    return CutCopy(sequence, bytes(element), bytes(content_digest), *rest)
