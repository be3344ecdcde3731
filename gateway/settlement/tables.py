"""Tables of settlement: closed statements and months, the journal, credit notes."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()

# One row is one operator's closed month; document is the statement as it stands for good
# (gateway.settlement.documents). What cannot be read in the ledger again stands beside it:
# how far ledger and authority were read, and when, and by which credit notes of the operator what
# they gave back was put right (JSON, their ids in order; null where that was not done yet). Amounts in
# micro-yuan.
CLOSINGS: Final = Table(
    "settlement_closings",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("usage_size", BigInteger, nullable=False),
    Column("ledger_sequence", BigInteger, nullable=False),
    Column("authority_sequence", BigInteger, nullable=False),
    Column("closed_at", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("known_notes", Text),
    Index("ix_settlement_closings_month", "month", "operator_id"),
)

# A month all of whose operators are closed; document is its settlement.
MONTHS: Final = Table(
    "settlement_months",
    METADATA,
    Column("month", String(7), primary_key=True),
    Column("closed_at", BigInteger, nullable=False),
    Column("closed_by", String(255), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint("closed_by", "request_id", name="uq_settlement_months_request"),
)

# Entries are numbered from 1 without gaps. about: the month adjusted or the credit note.
ENTRIES: Final = Table(
    "journal_entries",
    METADATA,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("operator_id", String(40), nullable=False),
    Column("month", String(7), nullable=False),
    Column("about", String(128), nullable=False),
    Column("booked_at", BigInteger, nullable=False),
    UniqueConstraint("operator_id", "month", "kind", "about", name="uq_journal_entries_operator"),
    Index("ix_journal_entries_month", "month", "entry"),
)

POSTINGS: Final = Table(
    "journal_postings",
    METADATA,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("account", String(300), primary_key=True),
    Column("debit", BigInteger, nullable=False),
    Column("credit", BigInteger, nullable=False),
    Index("ix_journal_postings_account", "account", "entry"),
)

# proven is what the evidence proved of a use when the note was made (`gateway.settlement.proven`);
# null of a statement, and of notes from before that was kept. amount is 0 where nothing was left to
# give back: that is no note, and counts with what is proven later.
CREDIT_NOTES: Final = Table(
    "credit_notes",
    METADATA,
    Column("credit_note_id", String(128), primary_key=True),
    Column("operator_id", String(40), nullable=False),
    Column("month", String(7), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("proven", Text),
    Index("ix_credit_notes_month", "operator_id", "month"),
)

# Which note was the first about a use; what is given back of it, notes tell.
CREDITED: Final = Table(
    "credited_uses",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("usage_index", BigInteger, primary_key=True, autoincrement=False),
    Column("credit_note_id", String(128), nullable=False),
)
