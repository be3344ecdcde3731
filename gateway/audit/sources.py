"""Where decisions are written first: the ledger, the log of refusals, consents' changes."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Column, Row

from consent.tables import CONSENT_CHANGE
from gateway.audit.tables import Source
from gateway.meter.tables import REFUSALS, USAGE

Made = tuple[int, Source, Row[*tuple[Any, ...]]]
"""A decision as it was written first: when it was made (seconds UTC), where, and its row there,
read by `COLUMNS`."""

COLUMNS: Final[dict[Source, Sequence[Column[Any]]]] = {
    Source.USAGE: (
        USAGE.c.sequence,
        USAGE.c.served_at,
        USAGE.c.decision_id,
        USAGE.c.client_id,
        USAGE.c.operator_id,
        USAGE.c.licence,
        USAGE.c.consent,
        USAGE.c.purpose,
        USAGE.c.request_id,
        USAGE.c.payload_digest,
        USAGE.c.entry_count,
        USAGE.c.disclosure_sequence,
        USAGE.c.chunk,
        USAGE.c.fee,
        USAGE.c.lines,
        USAGE.c.entries,
        USAGE.c.asked_items,
        USAGE.c.kind,
        USAGE.c.licences,
    ),
    Source.REFUSALS: (
        REFUSALS.c.sequence,
        REFUSALS.c.at,
        REFUSALS.c.decision_id,
        REFUSALS.c.client_id,
        REFUSALS.c.method,
        REFUSALS.c.reason,
        REFUSALS.c.consent,
        REFUSALS.c.purpose,
        REFUSALS.c.request_id,
    ),
    Source.CONSENTS: (
        CONSENT_CHANGE.c.sequence,
        CONSENT_CHANGE.c.at,
        CONSENT_CHANGE.c.operator_id,
        CONSENT_CHANGE.c.consent_id,
        CONSENT_CHANGE.c.state,
    ),
}
"""What is read of a source: the number, when the decision was made, and what its entry is made
of."""


def name_of(source: Source) -> str:
    """Return what a source's table is called."""
    return COLUMNS[source][0].table.name


def made_in(source: Source, rows: Iterable[Row[*tuple[Any, ...]]]) -> list[Made]:
    """Return the decisions in rows of a source."""
    return [(row[1], source, row) for row in rows]
