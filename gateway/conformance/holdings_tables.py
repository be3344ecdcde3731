"""Tables of what operators were served, and of what each revision is reconciled by."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

# Of 4,096 revisions in a row, by their sequences: eight bytes disclosed_until each (0 where
# the sequence is no revision's), sixteen bytes element each (`gateway.conformance.blocks`).
# The ends stand first: whoever needs them alone reads a third.
REVISION_BLOCKS: Final = Table(
    "revision_blocks",
    METADATA,
    Column("block", _Sequence, primary_key=True, autoincrement=False),
    Column("untils", LargeBinary, nullable=False),
    Column("elements", LargeBinary, nullable=False),
)

# Which of them were corrected, repaired or withdrawn: a bit each.
ENDED_BLOCKS: Final = Table(
    "ended_blocks",
    METADATA,
    Column("block", _Sequence, primary_key=True, autoincrement=False),
    Column("ended", LargeBinary, nullable=False),
)

# Which revisions an operator was ever served: a bit each, ``whole`` where it was served as
# it is disclosed, ``cut`` where under a consent, b"" for none.
SERVED_BLOCKS: Final = Table(
    "served_blocks",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("block", _Sequence, primary_key=True, autoincrement=False),
    Column("whole", LargeBinary, nullable=False),
    Column("cut", LargeBinary, nullable=False),
    Index("ix_served_blocks_block", "block", "operator_id"),
)

# Which revisions an operator attested right copies of without having been served them: a bit each.
# Their content it was served whole, in another period or of another revision
# (`gateway.conformance.put_right`).
PUT_RIGHT_BLOCKS: Final = Table(
    "put_right_blocks",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("block", _Sequence, primary_key=True, autoincrement=False),
    Column("bits", LargeBinary, nullable=False),
    Index("ix_put_right_blocks_block", "block", "operator_id"),
)

# What was served under consents, one by one: content cut to a consent's fields is another
# copy than the revision's own. Each revision has its own, also where they are alike: what ends
# one of them does not end the next. ``keep_until`` is when the last served must be gone, in
# seconds UTC, if the consent does not end it sooner (`consent.tables.CONSENT_REMOVAL`).
CONSENTED_COPIES: Final = Table(
    "consented_copies",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("revision_sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("consent_id", String(40), primary_key=True),
    Column("element", LargeBinary, nullable=False),
    Column("content_digest", LargeBinary, nullable=False),
    Column("disclosed_until", BigInteger, nullable=False),
    Column("keep_until", BigInteger, nullable=False),
)

# How far the follower has come in each log.
POSITIONS: Final = Table(
    "holdings_positions",
    METADATA,
    Column("name", String(80), primary_key=True),
    Column("position", BigInteger, nullable=False),
)

CHECKSUM_KEYS: Final = Table(
    "reconciliation_keys",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("checksum_key", LargeBinary, nullable=False),
)
