"""Tables of attestations, findings, stages and challenges."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
    text,
)

from gateway.conformance.model import ATTESTATION_FALSE, REMOVAL_OVERDUE

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

# Ids begin with the instant, so that their order is that of time, to the second.
ATTESTATIONS: Final = Table(
    "attestations",
    METADATA,
    Column("attestation_id", String(40), primary_key=True),
    Column("operator_id", String(40), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("copies", BigInteger, nullable=False),
    Column("disclosure_sequence", BigInteger, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("rectified", BigInteger, nullable=False),
    Column("standing", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("certificate_until", BigInteger, nullable=False),
    Column("compared", BigInteger, nullable=False, server_default="0"),
    # Null for attestations from before these were kept.
    Column("opening", LargeBinary),
    Column("read_at", BigInteger),
    # Of ``standing`` how many wait only to be asked for.
    Column("waiting", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("operator_id", "request_id", name="uq_attestations_request"),
    UniqueConstraint("operator_id", "number", name="uq_attestations_number"),
)

FINDINGS: Final = Table(
    "findings",
    METADATA,
    Column("finding_id", String(40), primary_key=True),
    Column("operator_id", String(40), nullable=False),
    Column("record_id", String(128), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("held_digest", LargeBinary, nullable=False),
    Column("event_sequence", BigInteger, nullable=False),
    Column("revision_sequence", BigInteger, nullable=False),
    Column("copy_digest", LargeBinary, nullable=False),
    Column("attestation_id", String(40), nullable=False),
    Column("detected_at", BigInteger, nullable=False),
    Column("counted_from", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("closed_at", BigInteger, nullable=False),
    Column("pardoned", Boolean, nullable=False),
    Column("contest_statement", Text, nullable=False),
    Column("evidence_digest", LargeBinary, nullable=False),
    Column("contested_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("decided_by", String(80), nullable=False),
    Column("decision_reason", Text, nullable=False),
    Column("region", String(255), nullable=False, server_default=""),
    # By how much later the time of a rectified false attestation goes on in another one.
    Column("put_off", BigInteger, nullable=False, server_default="0"),
    # Since when a right copy is attested that the gateway has not asked for yet; 0 where it is none.
    # Its times are moved by that when it waits no longer.
    Column("waits_since", BigInteger, nullable=False, server_default="0"),
    Index("ix_findings_operator", "operator_id", "finding_id"),
    Index("ix_findings_attestation", "attestation_id", "finding_id"),
    # Of one record, kind and event one finding stands at a time, unless another copy's is
    # contested.
    Index(
        "uq_findings_standing",
        "operator_id",
        "kind",
        "record_id",
        "event_sequence",
        "copy_digest",
        "region",
        unique=True,
        sqlite_where=text("closed_at = 0"),
        postgresql_where=text("closed_at = 0"),
    ),
    Index(
        "ix_findings_contested",
        "operator_id",
        "contested_at",
        sqlite_where=text("contested_at > 0"),
        postgresql_where=text("contested_at > 0"),
    ),
    # An overdue removal is found once for its event, whatever became of it.
    Index(
        "ix_findings_event",
        "operator_id",
        "event_sequence",
        sqlite_where=text("kind = 10"),
        postgresql_where=text("kind = 10"),
    ),
    # False attestations that were rectified count on for a time.
    Index(
        "ix_findings_false",
        "operator_id",
        "closed_at",
        sqlite_where=text("kind = 11"),
        postgresql_where=text("kind = 11"),
    ),
)

EVIDENCE: Final = Table(
    "finding_evidence",
    METADATA,
    Column("finding_id", String(40), primary_key=True),
    Column("operator_id", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Index("ix_finding_evidence_operator", "operator_id", "at"),
    Index("ix_finding_evidence_at", "at"),
)

# One row for each operator that ever attested, held anything or was found at fault; who
# changes what stands against it locks the row and counts ``touched`` on. ``pardon`` is the change
# of authority by which a suspension was lifted that was taken in last.
STANDINGS: Final = Table(
    "conformance_standings",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("stage", SmallInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("touched", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("settle_at", BigInteger, nullable=False),
    Column("attestation_due", BigInteger, nullable=False),
    Column("challenged", BigInteger, nullable=False),
    Column("confirmed", BigInteger, nullable=False),
    Column("refreshed", BigInteger, nullable=False, server_default="0"),
    Column("pardon", BigInteger, nullable=False, server_default="0"),
)

STAGE_CHANGES: Final = Table(
    "stage_changes",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("operator_id", String(40), nullable=False),
    Column("stage", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("standing", BigInteger, nullable=False),
    Index("ix_stage_changes_operator", "operator_id", "sequence"),
)

# Closed ones have been answered, void or counted as not shown.
CHALLENGES: Final = Table(
    "challenges",
    METADATA,
    Column("challenge_id", String(40), primary_key=True),
    Column("operator_id", String(40), nullable=False),
    Column("record_id", String(128), nullable=False),
    Column("revision_sequence", BigInteger, nullable=False),
    Column("copy_digest", LargeBinary, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("attestation_id", String(40), nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("closed_at", BigInteger, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("finding_id", String(40), nullable=False),
    # Of what was asked for before this was kept nothing counts as served since.
    Column("answers", BigInteger, nullable=False, server_default=str((1 << 63) - 1)),
    Column("refreshed", Boolean, nullable=False, server_default=false()),
    # By when it must be shown for certificates to count. Null for what was asked for before this was
    # kept.
    Column("show_by", BigInteger),
    # Why it is asked for again (`gateway.conformance.asking_again.Why`). Null for what was drawn.
    Column("again", SmallInteger),
    Index("ix_challenges_operator_closed", "operator_id", "closed_at"),
    Index(
        "ix_challenges_open",
        "operator_id",
        "challenge_id",
        sqlite_where=text("closed_at = 0"),
        postgresql_where=text("closed_at = 0"),
    ),
    Index(
        "ix_challenges_deadline",
        "deadline",
        sqlite_where=text("closed_at = 0"),
        postgresql_where=text("closed_at = 0"),
    ),
    Index(
        "ix_challenges_closed",
        "closed_at",
        sqlite_where=text("closed_at > 0"),
        postgresql_where=text("closed_at > 0"),
    ),
)

# Which attestations each copy was drawn for: one answer serves all that are open.
DRAWS: Final = Table(
    "challenge_draws",
    METADATA,
    Column("attestation_id", String(40), primary_key=True),
    Column("challenge_id", String(40), primary_key=True),
    Index("ix_challenge_draws_challenge", "challenge_id"),
)

# Revisions an operator has told it does not hold, though it was served them whole: as bits of
# blocks (`gateway.conformance.blocks`). An answer of the ledger after
# ``answers`` excuses that it is held again, or one given again at ``since`` or later (seconds, UTC):
# they may have been under way when it was told.
TOLD_MISSING: Final = Table(
    "told_missing",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("block", BigInteger, primary_key=True),
    Column("answers", BigInteger, nullable=False),
    Column("bits", LargeBinary, nullable=False),
    Column("since", BigInteger, nullable=False, server_default="0"),
)

# Written out, not bound: only then can a planner tell that a partial index serves.
STANDS: Final = FINDINGS.c.closed_at == literal_column("0")
"""Findings that stand, contested ones too."""
WAS_CONTESTED: Final = FINDINGS.c.contested_at > literal_column("0")
"""Findings that were ever contested."""
OF_REMOVALS: Final = FINDINGS.c.kind == literal_column(str(REMOVAL_OVERDUE))
"""Findings of overdue removals."""
OF_FALSE: Final = FINDINGS.c.kind == literal_column(str(ATTESTATION_FALSE))
"""Findings of false attestations."""
WAITS: Final = FINDINGS.c.waits_since > literal_column("0")
"""Findings that wait only for the gateway to ask for the right copy."""
UNANSWERED: Final = CHALLENGES.c.closed_at == literal_column("0")
"""Challenges that are neither answered nor over."""
