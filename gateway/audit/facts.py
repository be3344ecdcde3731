"""What the gateway wrote down, logged state by state: a commitment to a row each time it was
written (docs/proofs.md). Pure, but for reading rows.

Whoever changes such a row afterwards, or takes it away, leaves another row than the log has.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection, Row, Select, Table, bindparam, select, tuple_

from creditgate.transparency.decisions import DECISIONS_PREFIX
from creditgate.v1 import audit_service_pb2 as pb
from gateway.storage.migrate import Schema
from gateway.storage.paging import pages

SALT_BYTES: Final = 16
_FACT_PREFIX: Final = DECISIONS_PREFIX + "fact-"
_LABEL: Final = b"creditgate/fact/v1\n"
_SUBJECT: Final = "subject"

FactRow = Row[*tuple[Any, ...]]


class Kept(NamedTuple):
    """A table whose rows are facts. Of ``omitted`` columns nothing is logged."""

    table: Table
    schema: Schema
    omitted: frozenset[str] = frozenset()


class Fact(NamedTuple):
    """What a row of a table says, None where it is gone; ``key`` as whoever wrote it told it."""

    kind: str
    key: str
    values: Mapping[str, object] | None


def entry_of(kept: Kept, fact: Fact, salt: bytes, index: int, at: int) -> bytes:
    """Return the entry of a fact at place ``index`` of the log, logged ``at`` (seconds, UTC)."""
    return pb.DecisionEntry(
        name=f"{_FACT_PREFIX}{index}",
        sequence=index,
        decide_time=Timestamp(seconds=at),
        fact_kind=fact.kind,
        fact_key=shown_key(kept, fact.key),
        fact_digest=fact_digest(salt, fact),
    ).SerializeToString(deterministic=True)


def fact_digest(salt: bytes, fact: Fact) -> bytes:
    """Return `DecisionEntry.fact_digest`: the commitment to what a row says."""
    text = json.dumps(fact, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return sha256(_LABEL + salt + text.encode()).digest()


def shown_key(kept: Kept, key: str) -> str:
    """Return a row's key as entries show it: without the subject, whom they do not name."""
    names = kept.table.primary_key.columns.keys()
    shown = [value for name, value in zip(names, _values(key), strict=False) if name != _SUBJECT]
    return _text(shown)


def facts_of(connection: Connection, kept: Kept, keys: Iterable[str]) -> dict[str, Fact]:
    """Return what the rows of these keys say now, by key; of rows that are not there too."""
    wanted = sorted(set(keys))
    table, of_keys = kept.table, _of_keys(kept.table)
    columns = len(table.primary_key)
    found = {key: Fact(table.name, key, None) for key in wanted}
    for some in pages(wanted):
        values = [each for key in some if len(each := _values(key)) == columns]
        asked = [each[0] for each in values] if columns == 1 else values
        for row in connection.execute(of_keys, {"keys": asked}):
            fact = fact_of(kept, row)
            found[fact.key] = fact
    return found


@cache
def _of_keys(table: Table) -> Select[*tuple[Any, ...]]:
    """Return the query for rows of a table by their keys: values where these are of one column,
    rows of values else."""
    primary = list(table.primary_key)
    keys = bindparam("keys", expanding=True)
    return select(table).where(
        primary[0].in_(keys) if len(primary) == 1 else tuple_(*primary).in_(keys)
    )


def fact_of(kept: Kept, row: FactRow) -> Fact:
    """Return what a row of a table says, read whole."""
    says = {
        column.name: _plain(value)
        for column, value in zip(kept.table.columns, row, strict=True)
        if column.name not in kept.omitted
    }
    key = [
        value for column, value in zip(kept.table.columns, row, strict=True) if column.primary_key
    ]
    return Fact(kept.table.name, _text(key), says)


def _text(values: Sequence[object]) -> str:
    return json.dumps(
        [_plain(value) for value in values], ensure_ascii=False, separators=(",", ":")
    )


def _values(key: str) -> list[Any]:
    try:
        found: object = json.loads(key)
    except ValueError:
        return []
    return list(found) if isinstance(found, list) else []


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return value if value is None or isinstance(value, int | str) else str(value)
