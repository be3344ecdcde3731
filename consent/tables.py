"""Tables of consents, their changes and use, removals owed, delegations, subjects' keys."""

from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
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
    column,
    event,
    func,
    literal,
    table,
    text,
)

from consent.model import NAME_PREFIX

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

# ``document`` is the whole consent; the columns beside it are what it is found by. The
# ledger judges each answer by state and version, with the row locked.
CONSENT: Final = Table(
    "consents",
    METADATA,
    Column("consent_id", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("subject", String(18), nullable=False),
    Column("operator_id", String(40), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("due_at", BigInteger),
    Column("document", Text, nullable=False),
    UniqueConstraint("operator_id", "request_id", name="uq_consents_operator_request"),
    Index("ix_consents_subject", "subject", "consent_id"),
    Index("ix_consents_operator", "operator_id", "consent_id"),
    Index("ix_consents_operator_subject", "operator_id", "subject", "consent_id"),
    Index("ix_consents_operator_state", "operator_id", "state", "consent_id"),
    Index(
        "ix_consents_due_at",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

# The sequence is given by the writer, with the log locked, so that who follows it can
# miss nothing: a database's own counter is drawn before the commit.
CONSENT_CHANGE: Final = Table(
    "consent_changes",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("consent_id", String(40), nullable=False),
    Column("operator_id", String(40), nullable=False),
    Column("subject", String(18), nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("actor", String(16), nullable=False),
    Column("actor_id", String(80), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("removal_deadline", BigInteger),
    Column("data_life_end", SmallInteger, nullable=False),
    Column("delegation", String(40), nullable=False, server_default=""),
    Index("ix_consent_changes_consent", "consent_id", "sequence"),
    Index("ix_consent_changes_operator", "operator_id", "sequence"),
    Index("ix_consent_changes_subject", "subject", "sequence"),
)

# Of consents that limit how often they are used (once, so often a day): what their limit
# is judged by. Answered requests of each UTC day (days since 1970); ``last_at`` is when records were served
# last (seconds), null where none were. ``spent_at`` is when an answer used up a consent
# for one whose end is not written yet.
CONSENT_USE: Final = Table(
    "consent_use",
    METADATA,
    Column("consent_id", String(40), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("answered", Integer, nullable=False),
    Column("last_at", BigInteger),
    Column("spent_at", BigInteger),
    Index(
        "ix_consent_use_spent",
        "consent_id",
        sqlite_where=text("spent_at IS NOT NULL"),
        postgresql_where=text("spent_at IS NOT NULL"),
    ),
    # One tree to look in on SQLite, not an index and a table: each answer looks here.
    sqlite_with_rowid=False,
)

# What follows from a removal that was not acknowledged by its deadline: 0 nothing yet, 1 it is
# told of, 2 it was told of and acknowledged after all.
NOT_FOUND: Final = 0
FOUND: Final = 1
RECTIFIED: Final = 2
_LATE: Final = (
    "finding = 0 AND"
    " (acknowledged_at IS NULL OR (acknowledged_at >= deadline AND acknowledged_at >= report_by))"
)
_MADE_GOOD: Final = "finding = 1 AND acknowledged_at IS NOT NULL"

# The duties to remove what was served: one row for each consent that has ended, or under which the
# data life of the last copy has, if anything was served, and each time that is so of later copies.
# ``life_until`` is when the data life of the last copy ends that a row is about: one served later is
# another's. Copies must be gone by ``deadline``, and word of it come by ``report_by``, where that is
# later. What was taken back is held against nobody before ``spared_until``: the gateway was away, and
# could not tell. ``finding`` tells what became of one that is overdue. ``gone_until`` is of when a
# consent had one row: copies whose life was over by then are gone, by a word that is not there.
CONSENT_REMOVAL: Final = Table(
    "consent_removals",
    METADATA,
    Column("consent_id", String(40), primary_key=True),
    Column(
        "life_until",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        server_default="253402300799",
    ),
    Column("operator_id", String(40), nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("data_life_end", SmallInteger, nullable=False),
    Column("removed_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", String(80), nullable=False),
    Column("finding", SmallInteger, nullable=False, server_default="0"),
    Column("report_by", BigInteger, nullable=False, server_default="0"),
    Column("gone_until", BigInteger, nullable=False, server_default="0"),
    Column("spared_until", BigInteger, nullable=False, server_default="0"),
    Index(
        "ix_consent_removals_owed",
        "operator_id",
        "deadline",
        sqlite_where=text("acknowledged_at IS NULL"),
        postgresql_where=text("acknowledged_at IS NULL"),
    ),
    Index(
        "ix_consent_removals_late",
        "deadline",
        sqlite_where=text(_LATE),
        postgresql_where=text(_LATE),
    ),
    Index(
        "ix_consent_removals_made_good",
        "acknowledged_at",
        sqlite_where=text(_MADE_GOOD),
        postgresql_where=text(_MADE_GOOD),
    ),
)

# Written out, not bound: only then can a planner tell that a partial index serves.
IS_LATE: Final = text(_LATE)
"""Removals that nobody was told of, where no word came, or it came too late."""
IS_MADE_GOOD: Final = text(_MADE_GOOD)
"""Removals that were told of as overdue, and acknowledged since."""

# When to look whether the data life of the last copy under a live consent is over: of those
# whose validity is longer.
CONSENT_LIFE: Final = Table(
    "consent_lives",
    METADATA,
    Column("consent_id", String(40), primary_key=True),
    Column("look_at", BigInteger, nullable=False),
    Index("ix_consent_lives_look_at", "look_at"),
)

# Regions that were asked for records under a consent, until they are told that no copy of what
# they gave is held any more. ``asked_at`` is when the last question was put, ``look_at`` when to
# look next whether there is something to tell (seconds, UTC); ``tries`` counts how often the region
# said that it knows of no copies.
CONSENT_REGION: Final = Table(
    "consent_regions",
    METADATA,
    Column("consent_id", String(40), primary_key=True),
    Column("region", String(255), primary_key=True),
    Column("asked_at", BigInteger, nullable=False),
    Column("look_at", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Index("ix_consent_regions_look_at", "region", "look_at"),
)

# Of the secret that invites a deputy only the SHA-256 is kept.
DELEGATION: Final = Table(
    "delegations",
    METADATA,
    Column("delegation_id", String(40), primary_key=True),
    Column("subject", String(18), nullable=False),
    Column("deputy", String(80), nullable=False),
    Column("invitation_digest", LargeBinary),
    Column("invited_at", BigInteger, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("document", Text, nullable=False),
    Index("ix_delegations_subject", "subject", "delegation_id"),
    Index("ix_delegations_deputy", "deputy"),
    UniqueConstraint("invitation_digest", name="uq_delegations_invitation"),
)

SUBJECT_KEY: Final = Table(
    "subject_keys",
    METADATA,
    Column("subject", String(18), primary_key=True),
    Column("thumbprint", String(43), primary_key=True),
    Column("jwk", Text, nullable=False),
    Column("registered_by", String(80), nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
)

# How far each person has seen the notices of a subject: of consents by their place, of accepted
# delegations, in rows of their own, by their time (`consent.notices`).
NOTICE_SEEN: Final = Table(
    "consent_notices_seen",
    METADATA,
    Column("principal", String(80), primary_key=True),
    Column("subject", String(18), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

# Which answers of the ledger hold records of a subject: an index that is kept after the
# fact, so that serving does not wait for it. On PostgreSQL it comes in parts by the subject, by
# which alone it is asked for.
SUBJECT_USE: Final = Table(
    "subject_uses",
    METADATA,
    Column("subject", String(18), primary_key=True),
    Column("usage_sequence", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
    postgresql_partition_by="HASH (subject)",
)
_SUBJECT_USE_PARTS: Final = 16
for _part in range(_SUBJECT_USE_PARTS):
    event.listen(
        SUBJECT_USE,
        "after_create",
        DDL(
            f"CREATE TABLE {SUBJECT_USE.name}_{_part} PARTITION OF {SUBJECT_USE.name}"
            f" FOR VALUES WITH (MODULUS {_SUBJECT_USE_PARTS}, REMAINDER {_part})"
        ).execute_if(dialect="postgresql"),
    )

# What was written, in order: a row of which table, its key as JSON (`consent.writes`). Who
# keeps evidence of what stood follows it.
WRITES: Final = Table(
    "consent_writes",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("written", String(40), nullable=False),
    Column("row_key", String(400), nullable=False),
)

# How far who follows a log has come.
FOLLOWED: Final = Table(
    "followed",
    METADATA,
    Column("name", String(80), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

# The ledger's answers, as far as the use of consents is counted by them; the table itself
# is the ledger's.
ANSWER: Final = table(
    "usage_answers",
    column("sequence", BigInteger),
    column("operator_id", String),
    column("consent", String),
    column("served_at", BigInteger),
    column("entry_count", Integer),
    column("kind", SmallInteger),
    column("opened_entries", Integer),
)
# What other regions gave under consents; the table itself is that of who asks them.
REGION_ANSWER: Final = table(
    "region_answers",
    column("request_id", String),
    column("region", String),
    column("consent", String),
    column("records", Integer),
    column("opened", Integer),
    column("served_at", BigInteger),
    column("recorded_at", BigInteger),
)
# Written out, so that the partial index serves.
ELSEWHERE_UNDER_CONSENT: Final = text("region_answers.consent <> ''")
"""Answers of other regions to questions under a consent."""
OPENED_ELSEWHERE: Final = func.coalesce(REGION_ANSWER.c.opened, REGION_ANSWER.c.records) > 0
"""Those with records that were passed on under it; of older answers it is not known which were."""
CONSENT_NAME: Final = literal(NAME_PREFIX) + CONSENT.c.consent_id
"""Resource name of a row of CONSENT, as answers have it."""

SUBJECT_USES: Final = "subject-uses:"
"""With an operator's id, the name in FOLLOWED of how far SUBJECT_USE has its answers."""
