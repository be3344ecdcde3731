"""The keys that a log had before its present one, as far as notes in the store lead to that."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.succession import former_named
from gateway.transparency.tables import LINKS, AnyLogId


class FormerKey(NamedTuple):
    """A key that signed for a log until ``at`` (seconds, UTC), by the ``note`` that names the next;
    ``number`` is that of its file."""

    number: int
    note: str
    at: int


def former_keys(connection: Connection, log: AnyLogId, key: VerifierKey) -> Sequence[FormerKey]:
    """Return the keys of a log whose notes lead to ``key``, the oldest first."""
    query = select(LINKS.c.number, LINKS.c.note, LINKS.c.at).where(LINKS.c.log == log)
    found = [FormerKey(*row) for row in connection.execute(query.order_by(LINKS.c.number))]
    before = LinkedKeys.of(key, [each.note for each in found]).chain[:-1]
    return [each for each in found if former_named(each.note) in before]


def former_names(connection: Connection, log: AnyLogId, key: VerifierKey) -> Collection[str]:
    """Return the origins that a log had under the keys whose notes lead to ``key``."""
    notes = [each.note for each in former_keys(connection, log, key)]
    return {named.name for note in notes if (named := former_named(note)) is not None}
