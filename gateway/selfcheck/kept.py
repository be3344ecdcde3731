"""The tables whose rows are logged state by state, and what of them is not.

A migration that changes what rows of these tables say, if only by a new column, tells them
written (`evidence_writes`, `consent_writes`), so that they are logged as they are then.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from consent.tables import CONSENT, CONSENT_CHANGE, CONSENT_REMOVAL, DELEGATION, SUBJECT_KEY
from gateway.alerts.tables import ALERTS
from gateway.audit.facts import Kept
from gateway.conformance.finding_tables import (
    ATTESTATIONS,
    CHALLENGES,
    DRAWS,
    EVIDENCE,
    FINDINGS,
    STAGE_CHANGES,
    STANDINGS,
    TOLD_MISSING,
)
from gateway.conformance.holdings_tables import CHECKSUM_KEYS, PUT_RIGHT_BLOCKS
from gateway.conformance.removal_tables import DUTIES
from gateway.conformance.uptime_tables import OUTAGES
from gateway.federation.asking.removal_tables import REGION_REMOVALS
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_REPLAYS
from gateway.federation.clearing.amount_tables import METADATA as CLEARING_AMOUNTS
from gateway.federation.clearing.tables import CLEARINGS
from gateway.federation.clearing.tables import DISPUTES as CLEARING_DISPUTES
from gateway.federation.clearing.tables import VERSIONS as CLEARING_VERSIONS
from gateway.federation.recognition.tables import RECOGNITIONS
from gateway.federation.witness.tables import SPLIT_VIEWS
from gateway.meter.replays import REPLAYS
from gateway.reports.tables import REPORTS
from gateway.settlement.tables import CLOSINGS
from gateway.settlement.tables import METADATA as SETTLEMENT
from gateway.usage.tables import AGREEMENT_DUTIES, COSIGNATURES
from operators.tables import AUTHORITY_LOG

_KEPT: Final = (
    Kept(AUTHORITY_LOG, "authority"),
    Kept(CONSENT, "records"),
    Kept(CONSENT_CHANGE, "records"),
    Kept(CONSENT_REMOVAL, "records"),
    Kept(DELEGATION, "records"),
    Kept(SUBJECT_KEY, "records"),
    Kept(REPLAYS, "records"),
    Kept(REGION_ANSWERS, "records"),
    Kept(REGION_REPLAYS, "records"),
    Kept(ATTESTATIONS, "evidence"),
    Kept(FINDINGS, "evidence"),
    Kept(EVIDENCE, "evidence"),
    # Counters of when the stage is worked out anew go up with every change; what was pardoned each
    # finding says.
    Kept(STANDINGS, "evidence", frozenset({"touched", "settled", "settle_at", "pardon"})),
    Kept(STAGE_CHANGES, "evidence"),
    # For what room it takes; what was found before is logged.
    Kept(CHALLENGES, "evidence", frozenset({"again"})),
    Kept(DRAWS, "evidence"),
    Kept(TOLD_MISSING, "evidence"),
    Kept(CHECKSUM_KEYS, "evidence"),
    Kept(PUT_RIGHT_BLOCKS, "evidence"),
    Kept(OUTAGES, "evidence"),
    # Whether it is gone by an earlier word is looked at within a moment.
    Kept(DUTIES, "evidence", frozenset({"said_answers", "said_since"})),
    Kept(REGION_REMOVALS, "evidence"),
    Kept(ALERTS, "evidence"),
    Kept(COSIGNATURES, "evidence"),
    Kept(AGREEMENT_DUTIES, "evidence"),
    Kept(SPLIT_VIEWS, "evidence"),
    Kept(RECOGNITIONS, "evidence"),
    # What was agreed on entry by entry the document has the digest of.
    Kept(CLEARINGS, "evidence", frozenset({"elements"})),
    Kept(CLEARING_DISPUTES, "evidence", frozenset({"proved", "tried"})),
    # What they are of the versions have the digests of.
    Kept(CLEARING_VERSIONS, "evidence", frozenset({"home_entries", "asking_entries"})),
    *(Kept(each, "evidence") for each in CLEARING_AMOUNTS.sorted_tables),
    # What a closing put right by the notes it knew its statement says.
    Kept(CLOSINGS, "evidence", frozenset({"known_notes"})),
    *(Kept(each, "evidence") for each in SETTLEMENT.sorted_tables if each is not CLOSINGS),
    # The document is forgotten when its time is over; its digest stays.
    Kept(REPORTS, "evidence", frozenset({"document"})),
)
KEPT: Final[Mapping[str, Kept]] = MappingProxyType({each.table.name: each for each in _KEPT})
"""By the names of the tables."""
