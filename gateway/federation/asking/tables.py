"""Tables of what operators of this region asked of others, and were given: answers, and their records."""

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
    text,
)

METADATA: Final = MetaData()

# One row is one chunk of a region's answer. region_request_id is the idempotency key that both
# ends meter under; region_decision is the region's own decision; region_fee what it charges for
# the chunk, own_fee what the operator is charged here, both micro-yuan. receipt is the region's
# signed receipt of the use, a serialised UsageReceipt; checkpoint the signed note of its
# disclosure log that the chunk was proved against. served_at is by the region's receipt, recorded_at
# by this gateway. opened is how many of the records passed on the consent opened, null in older
# answers.
REGION_ANSWERS: Final = Table(
    "region_answers",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("region", String(255), primary_key=True),
    Column("first_subject", Integer, primary_key=True),
    Column("region_request_id", String(64), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("licence", String(64), nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("consent", String(128), nullable=False),
    Column("decision_id", String(40), nullable=False),
    Column("region_decision", String(64), nullable=False),
    Column("mapping_version", Integer, nullable=False),
    Column("subject_count", Integer, nullable=False),
    Column("records", Integer, nullable=False),
    Column("served_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("region_fee", BigInteger, nullable=False),
    Column("own_fee", BigInteger, nullable=False),
    Column("receipt", LargeBinary, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("opened", Integer),
    # Clearing compares a day with one region.
    Index("ix_region_answers_region_served_at", "region", "served_at"),
    Index("ix_region_answers_operator_recorded_at", "operator_id", "recorded_at"),
    # From a consent to what was given under it.
    Index(
        "ix_region_answers_consent",
        "consent",
        "region",
        sqlite_where=text("consent <> ''"),
        postgresql_where=text("consent <> ''"),
    ),
)

# One row is one record of such a chunk. item is the region's, own_item the one that stands for
# it here; fee and own_fee as above, of the record. content_digest is SHA-256 of the content as it
# was given, which a consent may have cut; the period in seconds, UTC, disclosed_until NO_END of
# `creditgate.transparency.facts` without end; severity a Severity. These five are null for what
# was given before they were kept. opened tells whether the consent of its answer opened it, which it
# did not of what anybody may have; null in older answers. subject is empty, and they are null, of what the region charged
# and the operator was not given: its answer was lost, and it had ended when it was asked for again.
# Of these withheld tells whether it was this region that kept it back, or had ended by then what it was asked
# for by (null in older ones).
REGION_USES: Final = Table(
    "region_uses",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("region", String(255), primary_key=True),
    Column("record_id", String(128), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("first_subject", Integer, nullable=False),
    Column("region_request_id", String(64), nullable=False),
    Column("subject", String(18), nullable=False),
    Column("item", String(64), nullable=False),
    Column("own_item", String(64), nullable=False),
    Column("source", String(200), nullable=False),
    Column("region_code", String(6), nullable=False),
    Column("served_at", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("own_fee", BigInteger, nullable=False),
    Column("content_digest", LargeBinary),
    Column("disclosed_from", BigInteger),
    Column("disclosed_until", BigInteger),
    Column("severity", SmallInteger),
    Column("cut", Boolean),
    Column("opened", Boolean),
    Column("withheld", Boolean),
    Index("ix_region_uses_region_served_at", "region", "served_at"),
    # From a record, and from a subject, to who received it (guarantee G7).
    Index("ix_region_uses_region_record", "region", "record_id"),
    Index("ix_region_uses_subject", "subject"),
    # From an operator's copy to what it was given.
    Index("ix_region_uses_operator_record", "operator_id", "record_id"),
    # From a use in the ledger to whom it is about.
    Index("ix_region_uses_operator_request", "operator_id", "region_request_id"),
)

# One row for each such chunk that a retry was given again, and each part of it that one was given
# where that was less: few. records are those that it was given, pairs of id and revision (JSON, in
# order), given is the SHA-256 of that; replayed_at is when it was last (seconds, UTC).
REGION_REPLAYS: Final = Table(
    "region_replays",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("region", String(255), primary_key=True),
    Column("first_subject", Integer, primary_key=True, autoincrement=False),
    Column("given", String(64), primary_key=True),
    Column("records", Text, nullable=False),
    Column("replayed_at", BigInteger, nullable=False),
    Column("times", BigInteger, nullable=False),
)

# One row is what one region is asked under one request id, as it was sent first; a retry sends the
# same. subjects has a bit for each subject of the question (little-endian, the first subject's
# lowest), subjects_digest is SHA-256 of those asked about, one a line. items are pairs of item here
# and item there (JSON), proof a ProofKind. asked_at is when the first chunk was asked for (seconds,
# UTC), reached the subject that the last chunk asked for begins at. disbelieved_at is when the
# region first told of a chunk that it was charged before although nobody had asked for it.
REGION_PLANS: Final = Table(
    "region_plans",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("region", String(255), primary_key=True),
    Column("region_request_id", String(64), nullable=False),
    Column("subjects", LargeBinary, nullable=False),
    Column("subjects_digest", LargeBinary, nullable=False),
    Column("items", Text, nullable=False),
    Column("mapping_version", Integer, nullable=False),
    Column("proof", SmallInteger, nullable=False),
    Column("directory_time", BigInteger),
    Column("asked_at", BigInteger, nullable=False),
    Column("reached", Integer, nullable=False),
    Column("disbelieved_at", BigInteger),
)

# One row is a use of a consent that limits how often it is used: the regions that were to be asked
# when it was counted (JSON), by the decision of its question. Retries ask those alone. A decision
# by which nothing was charged has no effect.
REGIONS_COUNTED: Final = Table(
    "regions_counted",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("decision_id", String(40), primary_key=True),
    Column("regions", Text, nullable=False),
)

# Notes by which regions signed their directories, those of the last days. fetched_at is when it was asked for, by this
# gateway's clock; log_size how large the region's disclosure log was, at least, when it was made.
REGION_DIRECTORIES: Final = Table(
    "region_directories",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("made_at", BigInteger, primary_key=True),
    Column("note", Text, nullable=False),
    Column("fetched_at", BigInteger, nullable=False),
    Column("log_size", BigInteger, nullable=False),
)

# Directories that denied a subject of whom the region proved an older record: the note and the bits
# of the filter, the record, and the answer it was proved in (QueryRecordsResponse messages, each
# with its length before it; empty where they are too large to be kept).
DIRECTORY_FAULTS: Final = Table(
    "region_directory_faults",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("made_at", BigInteger, primary_key=True),
    Column("note", Text, nullable=False),
    Column("filter", LargeBinary, nullable=False),
    Column("log_size", BigInteger, nullable=False),
    Column("subject", String(18), nullable=False),
    Column("record_id", String(128), nullable=False),
    Column("event_sequence", BigInteger, nullable=False),
    Column("region_request_id", String(64), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("found_at", BigInteger, nullable=False),
)
