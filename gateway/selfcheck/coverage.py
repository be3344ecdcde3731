"""Which table is checked how, and what carries no fact, with the reason.

`creditgate log check` prints what it does not tell from here, docs/proofs.md has the same list,
and a table that is in neither list is a fault of whoever added it (tests/selfcheck).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.selfcheck.kept import KEPT

BY_FACTS: Final = frozenset(KEPT)
"""Tables whose rows are compared to the log of decisions, which has each of their states."""
MADE_ANEW: Final = frozenset(
    {
        # Against one another, and the commitments and seals of the disclosure log.
        "disclosure_events",
        "record_revisions",
        "revenue_lines",
        # Hashes, signatures and the map, from the events and entries.
        "logs",
        "log_tiles",
        "log_bundles",
        "log_checkpoints",
        "disclosure_log_heads",
        "map_head",
        "map_members",
        "map_sets",
        "map_tiles",
        "map_openness",
        # The log of decisions, against what was written when it was decided.
        "usage_answers",
        "refusals",
        "region_asks",
        "audit_decisions",
        "audit_followed",
        "audit_gaps",
        "audit_lost",
        "audit_facts",
        # Against other regions' receipts, which are logged, and the ledger.
        "region_uses",
        # Counted anew from the ledger.
        "quota_use",
        "licence_use",
        "usage_heads",
        "consent_use",
        "subject_uses",
        # From events, revisions, the ledger and consents.
        "revision_blocks",
        "ended_blocks",
        "served_blocks",
        "consented_copies",
        "holdings_positions",
        "removal_duties_followed",
        # Logs of operators' use, from the ledger.
        "usage_logs",
    }
)
"""Tables that are made anew from others, or verify by themselves."""

_TOKENS: Final = (
    "it lets in whoever holds a secret whose digest it is, until it ends; what anybody then did"
    " is in the log of decisions"
)
_SIGNED_IN: Final = "it is of a person's sign-in that ends within hours; what they did is logged"
_QUEUE: Final = "it waits to be logged, and is gone then"
_WITNESSED: Final = (
    "what this region's witness cosigned of other regions' logs: they signed it and have the"
    " cosignature, and a note beside the witness's key tells how much there must be"
)
_TOLD_OF_RECORDS: Final = (
    "what other regions told became of their records, and how far; their disclosure logs prove it"
)
_DIRECTORIES: Final = (
    "directories that other regions signed, and what they proved of whom these denied, which"
    " verifies by itself"
)
_LINKED: Final = (
    "which keys logs had before, and which comes next, as the keys themselves signed it; what is"
    " not there is not believed"
)
_ALEMBIC: Final = "the schema's last migration, and the oldest whose code may serve"
_POSITION: Final = (
    "how far work in the background has come; what the work leads to is checked itself"
)
_COUNTS: Final = "counts that alerts follow from; alerts that were raised are logged"
NO_FACT: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "oauth_code",
                "oauth_grant",
                "oauth_grant_consent",
                "oauth_interaction",
                "oauth_pushed_request",
                "oauth_refresh_token",
            ),
            _TOKENS,
        ),
        "oauth_revocation": "tokens end by themselves within minutes; who revoked what is in the"
        " authority log",
        "assertion_jti": "assertions that were used, until they end within a minute",
        **dict.fromkeys(("signin_session", "signin_attempt", "signin_secret"), _SIGNED_IN),
        "publisher_batches": "what a publisher is told again who sends a batch again; what the"
        " batch published are events, which are proved",
        "consent_notices_seen": "how far a person has seen the notices, and who is to see them",
        "gateway_beats": "when the gateway was up last; what was put off after it was away is"
        " logged",
        **dict.fromkeys(("log_links", "log_announcements"), _LINKED),
        "followed": _POSITION,
        "consent_lives": _POSITION,
        "consent_regions": "which regions wait to be told that copies are gone, until they are;"
        " that operators said so is logged",
        "usage_exported": _POSITION,
        "alert_followed": _POSITION,
        **dict.fromkeys(("alert_hours", "alert_subjects"), _COUNTS),
        "deliveries": "how far deliveries were acknowledged, by the word of who received them;"
        " what is charged and credited is in the ledger",
        "quota_holds": "room for answers of other regions under way; it ends by itself, and what"
        " they come to is in the ledger",
        "region_plans": "what other regions were asked, by which retries are the same, and what is"
        " owed for lost answers is believed; what was charged is in the ledger",
        "regions_counted": "for which regions uses of consents were counted, which retries are held"
        " to; that a use was counted is in the ledger",
        "region_directories": _DIRECTORIES,
        "region_directory_faults": _DIRECTORIES,
        "rate_use": "when the next use within a limit is due; it passes by itself, and what was"
        " used is in the ledger",
        **dict.fromkeys(("witnessed_logs", "witnessed_checkpoints", "witnessed_ends"), _WITNESSED),
        "region_credentials": "licence credentials that other regions' operators showed: their"
        " region signed them, which verifies by itself",
        **dict.fromkeys(("region_events", "region_changes", "regions_heard"), _TOLD_OF_RECORDS),
        "clearing_evidence": "receipts and proofs that regions signed, which verify by themselves",
        "clearing_claims": "what another region claims where ledgers differ, until it is signed; what is"
        " left out is logged",
        "clearing_failures": "why clearing failed last; alerts that were raised are logged",
        "clearing_wanted": "what is to be cleared at once, until it was tried",
        "consent_writes": _QUEUE,
        "evidence_writes": _QUEUE,
        "alembic_version_authority": _ALEMBIC,
        "alembic_version_records": _ALEMBIC,
        "alembic_version_evidence": _ALEMBIC,
    }
)
"""Tables that carry no fact, each with the reason."""

_TOLD_BY_REGION: Final = "what another region told besides for whom it asks, or the ledger has too"
_PROVED_BY_REGION: Final = (
    "what the region proved in its answer, which the operator has; what it charges, and what is"
    " charged for it here, is checked"
)
_SAID: Final = (
    "where it is looked at whether a removal was done by an earlier word; that it was is logged"
)
_STAGE: Final = "when the stage is worked out anew; the stage itself is logged"
_OF_VERSION: Final = "which entries are in dispute; both regions signed the digest of them"
_PROVED: Final = "for what evidence was made, and when that was tried; it verifies by itself"
NO_FACT_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "clearings.elements": "which entries were agreed on; both regions signed their digest",
        "clearing_versions.home_entries": _OF_VERSION,
        "clearing_versions.asking_entries": _OF_VERSION,
        "clearing_disputes.proved": _PROVED,
        "clearing_disputes.tried": _PROVED,
        "conformance_standings.touched": _STAGE,
        "conformance_standings.settled": _STAGE,
        "conformance_standings.settle_at": _STAGE,
        "conformance_standings.pardon": "how far lifted suspensions were taken in; the findings"
        " that were pardoned are logged",
        "challenges.again": "why a copy is asked for again, for which there is room of its own; what"
        " was found of it before is logged",
        "settlement_closings.known_notes": "which credit notes a closing knew; what it put right by"
        " them its statement says",
        "removal_duties.said_answers": _SAID,
        "removal_duties.said_since": _SAID,
        "usage_answers.asked_subjects": "how many subjects were asked about, which alerts follow"
        " from; alerts that were raised are logged",
        "audit_gaps.since": "since when a number is missed; that it is missed is checked",
        "log_checkpoints.at": "of the disclosure log it is what the map head says; of the others"
        " when a head was signed, which is not signed itself",
        "log_checkpoints.cosignatures": "other regions' signatures, which verify by themselves;"
        " that one is there is nobody's to promise",
        **dict.fromkeys(
            (
                "region_asks.request_id",
                "region_asks.mapping_version",
                "region_asks.credential_digest",
                "region_asks.asked_at",
            ),
            _TOLD_BY_REGION,
        ),
        **dict.fromkeys(
            (
                "region_uses.record_id",
                "region_uses.revision",
                "region_uses.subject",
                "region_uses.content_digest",
                "region_uses.disclosed_from",
                "region_uses.disclosed_until",
                "region_uses.severity",
                "region_uses.cut",
            ),
            _PROVED_BY_REGION,
        ),
        "region_uses.withheld": "whether a region is looked at that charged for it; what is owed is the"
        " same",
        "map_head.id": "there is one row, whatever its number",
        "map_openness.from_event": "from which event on an item is protected is told apart by"
        " its events alone",
        "map_openness.item": "an item without records that nobody can tell apart",
    }
)
"""Columns of checked tables that carry no fact, each with the reason."""
NO_FACT_ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "map_openness": "of an item without records, of which nothing in the map tells whether it"
        " is protected",
        "region_asks": "of a call of another region that nothing was served to",
        "log_checkpoints": "of the logs of decisions and of use one that is not the newest can be"
        " taken away: entries, hashes and the newest checkpoint are all there, and who holds"
        " the older one has its proof made from them",
    }
)
"""Tables some rows of which can be missing, each with the reason."""
NOT_COVERED: Final[Mapping[str, str]] = MappingProxyType(
    {**NO_FACT, **NO_FACT_COLUMNS, **{f"{name} (rows)": why for name, why in NO_FACT_ROWS.items()}}
)
"""All of it, as it is told."""
