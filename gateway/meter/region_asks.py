"""Whom regions asked for: durable before anything of such a call is metered (guarantee G7).

The ledger knows a region as one operator; the licence that its call rests on, and the decision
behind it there, are kept beside it, under the digest that the ledger has of the call.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

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

from gateway.storage.bounded import bounded
from gateway.storage.inserts import INSERT

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
_ADD_ASK: Final = {
    dialect: insert(REGION_ASKS).on_conflict_do_nothing() for dialect, insert in INSERT.items()
}
_ADD_CREDENTIAL: Final = {
    dialect: insert(REGION_CREDENTIALS).on_conflict_do_nothing()
    for dialect, insert in INSERT.items()
}
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

    def keep(self, asks: Sequence[RegionAsk]) -> list[None]:
        """Make asks durable, in one transaction; of those that are kept nothing changes.

        Raises what SQLAlchemy raises; nothing may be answered then.
        """
        credentials = {sha256(ask.credential.encode()).digest(): ask.credential for ask in asks}
        rows = [_row(ask) for ask in asks]
        with bounded(self._engine) as connection:
            dialect = connection.dialect.name
            # By their keys, so that no two processes wait for one another.
            connection.execute(
                _ADD_CREDENTIAL[dialect],
                [
                    {"credential_digest": digest, "credential": credentials[digest]}
                    for digest in sorted(credentials)
                ],
            )
            rows.sort(key=lambda row: (row["operator_id"], row["payload_digest"]))
            connection.execute(_ADD_ASK[dialect], rows)
        return [None] * len(asks)


def _row(ask: RegionAsk) -> dict[str, Any]:
    row = ask._asdict()
    row["credential_digest"] = sha256(row.pop("credential").encode()).digest()
    return row


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
