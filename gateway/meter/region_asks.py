"""Whom regions asked for: durable before anything of such a call is metered (guarantee G7).

The ledger knows a region as one operator; the licence that its call rests on, and the decision
behind it there, are kept beside it, under the digest that the ledger has of the call.
"""

from collections.abc import Collection
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

METADATA: Final = MetaData()

# One row is one call with all its retries, as it came first. payload_digest is that of the
# answers in the ledger.
REGION_ASKS: Final = Table(
    "region_asks",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("payload_digest", LargeBinary, primary_key=True),
    Column("request_id", String(64), nullable=False),
    Column("region", String(255), nullable=False),
    Column("asking_operator", String(64), nullable=False),
    Column("asking_licence", String(64), nullable=False),
    Column("asking_decision", String(128), nullable=False),
    Column("mapping_version", String(64), nullable=False),
    Column("credential_digest", LargeBinary, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Index("ix_region_asks_payload_digest", "payload_digest"),
)

# The licence credentials that were shown, each once: evidence of what the region signed.
REGION_CREDENTIALS: Final = Table(
    "region_credentials",
    METADATA,
    Column("credential_digest", LargeBinary, primary_key=True),
    Column("credential", Text, nullable=False),
)
_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_KEYS_A_QUERY: Final = 500


class RegionAsk(NamedTuple):
    """A call of a region for one of its operators.

    ``operator_id`` is what the region is here and ``region`` its entity identifier;
    ``asking_operator`` and ``asking_licence`` are names of its own. ``asking_decision`` reads
    "decisions/{id}", ``credential`` is the JWT shown, ``asked_at`` in seconds UTC.
    """

    operator_id: str
    payload_digest: bytes
    request_id: str
    region: str
    asking_operator: str
    asking_licence: str
    asking_decision: str
    mapping_version: str
    credential: str
    asked_at: int


class AskedFor(NamedTuple):
    """For whom an answer of the ledger was asked, as a `RegionAsk` tells it."""

    region: str
    operator: str
    licence: str
    decision: str


class SqlRegionAsks:
    """The asks of one records store. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, ask: RegionAsk) -> None:
        """Make an ask durable; of one that is kept nothing changes.

        Raises what SQLAlchemy raises; nothing may be answered then.
        """
        digest = sha256(ask.credential.encode()).digest()
        row = {**ask._asdict(), "credential_digest": digest}
        credential = {"credential_digest": digest, "credential": row.pop("credential")}
        with self._engine.begin() as connection:
            insert = _INSERT[connection.dialect.name]
            for table, values in ((REGION_CREDENTIALS, credential), (REGION_ASKS, row)):
                connection.execute(insert(table).values(values).on_conflict_do_nothing())


def asked_for(
    connection: Connection, digests: Collection[bytes]
) -> dict[tuple[str, bytes], AskedFor]:
    """Return for whom answers were asked, by operator and payload digest, as far as a region
    asked for them."""
    found: dict[tuple[str, bytes], AskedFor] = {}
    wanted = list(digests)
    row = REGION_ASKS.c
    for start in range(0, len(wanted), _KEYS_A_QUERY):
        query = select(
            row.operator_id,
            row.payload_digest,
            row.region,
            row.asking_operator,
            row.asking_licence,
            row.asking_decision,
        ).where(row.payload_digest.in_(wanted[start : start + _KEYS_A_QUERY]))
        for operator_id, digest, *asked in connection.execute(query):
            found[operator_id, bytes(digest)] = AskedFor(*asked)
    return found
