"""Whom revisions are about. A revision is never changed, so what was read once is remembered."""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Connection, bindparam, func, select

from gateway.disclose.tables import REVISIONS
from gateway.storage.remembered import Remembered

_MOST_KNOWN: Final = 100_000
_AT_ONCE: Final = 10_000
_SEQUENCES: Final = "sequences"
_SUBJECTS: Final = select(REVISIONS.c.sequence, REVISIONS.c.subject)
_SUBJECTS_OF: Final = {
    "sqlite": _SUBJECTS.where(
        REVISIONS.c.sequence.in_(
            select(func.json_each(bindparam(_SEQUENCES)).table_valued("value"))
        )
    ),
    "postgresql": _SUBJECTS.where(
        REVISIONS.c.sequence == func.any(bindparam(_SEQUENCES, type_=ARRAY(BigInteger)))
    ),
}


class Subjects:
    """The subjects of revisions by their sequences, as far as asked for lately; any thread."""

    def __init__(self) -> None:
        self._known = Remembered[int, str](_MOST_KNOWN)

    def of(self, connection: Connection, sequences: Collection[int]) -> Mapping[int, str]:
        """Return the credit codes of subjects by the revisions asked for; of others too.

        A revision that is not there is left out. Raises what the store raises.
        """
        return self._known.of(sequences, partial(_read, connection))


def _read(connection: Connection, sequences: Iterable[int]) -> Iterable[tuple[int, str]]:
    name = connection.dialect.name
    wanted = sorted(sequences)
    for start in range(0, len(wanted), _AT_ONCE):
        some: Any = wanted[start : start + _AT_ONCE]
        given = json.dumps(some) if name == "sqlite" else some
        rows = connection.execute(_SUBJECTS_OF[name], {_SEQUENCES: given})
        yield from ((sequence, subject) for sequence, subject in rows)
