"""What a document tells: statements of one or all operators over months, whole or of one source
or region alone. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from creditgate.v1.usage_service_pb2 import Statement
from gateway.documents.rows import CLOSED, OPEN, StatementRow, narrowed, rows_of, state_of
from gateway.settlement.documents import document_bytes


class Wanted(NamedTuple):
    """What is asked for: [month, last_month] are names of months, both of them; "" is any
    operator, source or region."""

    operator_id: str
    month: str
    last_month: str
    source: str
    region: str

    @property
    def whole(self) -> bool:
        """Whether nothing of the statements is left out."""
        return not (self.source or self.region)


@dataclass(frozen=True)
class Extract:
    """Statements, in order of month and operator, and what of them is wanted.

    Unless they are ``complete``, statements of other operators or months are still to come.
    """

    issuer: str
    wanted: Wanted
    statements: Sequence[Statement]
    complete: bool = True

    @cached_property
    def rows(self) -> tuple[StatementRow, ...]:
        """All rows that are wanted."""
        rows = (row for statement in self.statements for row in rows_of(statement))
        return tuple(narrowed(rows, self.wanted.source, self.wanted.region))

    @property
    def state(self) -> str:
        """Whether all months are closed, and for all it is to tell of: only then it never changes."""
        closed = all(state_of(statement) == CLOSED for statement in self.statements)
        return CLOSED if self.complete and closed and self.statements else OPEN

    @property
    def as_of(self) -> int | None:
        """When the last of the months was closed (seconds, UTC), None where it is open."""
        if self.state == OPEN:
            return None
        return max(statement.close_time.seconds for statement in self.statements)

    def owed_by(self, field: str) -> dict[str, int]:
        """Return what is owed by a field of the rows, micro-yuan, in order of the field."""
        return self._by("OWED", field)

    def received_by(self, field: str) -> dict[str, int]:
        """Return what is received by a field of the rows, micro-yuan, in order of the field."""
        return self._by("RECEIVED", field)

    @property
    def owed(self) -> int:
        """What is owed, micro-yuan."""
        return sum(row.amount_micro_yuan for row in self.rows if row.side == "OWED")

    @property
    def received(self) -> int:
        """What is received, micro-yuan; of whole statements the same as `owed`."""
        return sum(row.amount_micro_yuan for row in self.rows if row.side == "RECEIVED")

    def ids(self, field: str) -> tuple[str, ...]:
        """Return the price plans ("plan_ids") or sharing rules ("rule_ids") it rests on."""
        return tuple(
            sorted(
                {
                    each
                    for statement in self.statements
                    for part in (statement, *statement.adjustments, *statement.credit_notes)
                    for each in getattr(part, field)
                }
            )
        )

    @property
    def file_stem(self) -> str:
        """What a file of it is called, without what follows the dot."""
        last = self.wanted.last_month
        months = [self.wanted.month, *([last] if last != self.wanted.month else ())]
        narrow = [] if self.wanted.whole else [_short(self.wanted)]
        return "-".join(["statement", self.wanted.operator_id or "all", *months, *narrow])

    def _by(self, side: str, field: str) -> dict[str, int]:
        amounts: Counter[str] = Counter()
        for row in self.rows:
            if row.side == side:
                amounts[getattr(row, field)] += row.amount_micro_yuan
        return {name: amounts[name] for name in sorted(amounts)}


def statement_digest(statement: Statement) -> str:
    """Return the SHA-256 of a statement as it is kept, in hexadecimal."""
    return sha256(document_bytes(statement)).hexdigest()


def _short(wanted: Wanted) -> str:
    """Return what tells files of sources and regions apart: names of sources are no names of
    files."""
    return sha256("\n".join((wanted.source, wanted.region)).encode()).hexdigest()[:8]
