"""Whom revisions are about. A revision is never changed, so what was read once is remembered."""

from collections.abc import Collection, Iterable, Mapping
from functools import cache, partial
from typing import Final

from sqlalchemy import Connection, Dialect, Select, select

from gateway.disclose.tables import REVISIONS
from gateway.storage.among import among, listed
from gateway.storage.remembered import Remembered

_MOST_KNOWN: Final = 100_000
_AT_ONCE: Final = 10_000
_SUBJECTS: Final = select(REVISIONS.c.sequence, REVISIONS.c.subject)


class Subjects:
    """The subjects of revisions by their sequences, as far as asked for lately; any thread."""

    def __init__(self) -> None:
        self._known = Remembered[int, str](_MOST_KNOWN)

    def of(self, connection: Connection, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the credit codes of subjects by the revisions asked for; of others too.

        A revision that is not there is left out. Raises what the store raises.
        """
        return self._known.of(sequences, partial(_read, connection))


@cache
def _subjects_of(dialect: Dialect) -> Select[int, str]:
    return _SUBJECTS.where(among(REVISIONS.c.sequence, dialect))


def _read(connection: Connection, sequences: Iterable[int]) -> Iterable[tuple[int, str]]:
    dialect = connection.dialect
    wanted = sorted(sequences)
    for start in range(0, len(wanted), _AT_ONCE):
        some = listed(wanted[start : start + _AT_ONCE], dialect)
        rows = connection.execute(_subjects_of(dialect), {"among": some})
        yield from ((sequence, subject) for sequence, subject in rows)
