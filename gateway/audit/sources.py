"""Where decisions are written first: the ledger, the log of refusals, consents' changes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, Table

from consent.tables import CONSENT_CHANGE
from gateway.audit.decision import Decision, Receipts, allowed, changed, refused
from gateway.audit.tables import Source
from gateway.meter.tables import REFUSALS, USAGE

TABLES: Final[dict[Source, Table]] = {
    Source.USAGE: USAGE,
    Source.REFUSALS: REFUSALS,
    Source.CONSENTS: CONSENT_CHANGE,
}


def decisions_of(
    source: Source,
    rows: Sequence[Row[*tuple[Any, ...]]],
    operator_of: Callable[[str], str],
    receipts: Receipts,
) -> Iterator[Decision]:
    """Yield the decisions in rows of a source; ``operator_of`` gives the operator a client is
    of, "" for none."""
    match source:
        case Source.USAGE:
            yield from map(allowed, rows)
        case Source.REFUSALS:
            yield from (refused(row, operator_of) for row in rows)
        case Source.CONSENTS:
            known = receipts({row.consent_id for row in rows})
            yield from (changed(row, known) for row in rows)
