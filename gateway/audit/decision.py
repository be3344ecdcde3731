"""Decisions as the decision log has them, made of what was written when they were made.

What was not written is left unset: the ledger has no method, the log of refusals neither
licence nor what was asked for.
"""

from array import array
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Row

from consent.model import NAME_PREFIX
from consent.states import GRANTED
from creditgate.scopes import method_scopes
from creditgate.transparency.decisions import CHANGES_PREFIX, DECISIONS_PREFIX
from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.tables import Source

_ENTRY_BYTES: Final = 8
_USAGE_LABEL: Final = b"creditgate/usage/v1\n"
_Row = Row[*tuple[Any, ...]]
Receipts = Callable[[Collection[str]], Mapping[str, str]]
"""Gives the receipts of consents by their ids; none for a consent never granted."""


class Decision(NamedTuple):
    """One decision about to be logged: its entry, all but its sequence, and its source."""

    entry: pb.DecisionEntry
    source: Source
    source_sequence: int

    @property
    def decision_id(self) -> str:
        """What it is known by in receipts and refusals."""
        return self.entry.name.removeprefix(DECISIONS_PREFIX)


def allowed(row: _Row) -> Decision:
    """Return the decision to give an answer, given its row of the ledger."""
    entry = pb.DecisionEntry(
        name=DECISIONS_PREFIX + row.decision_id,
        decide_time=Timestamp(seconds=row.served_at),
        client_id=row.client_id,
        operator_id=row.operator_id,
        outcome=pb.DECISION_OUTCOME_ALLOWED,
        licence=row.licence,
        consent=row.consent,
        purpose=row.purpose,
        request_id=row.request_id,
        request_digest=bytes(row.payload_digest),
        served_records=row.entry_count,
        usage_digest=usage_digest(row.chunk, row.fee, bytes(row.entries), row.lines),
        disclosure_sequence=row.disclosure_sequence,
    )
    return Decision(entry, Source.USAGE, row.sequence)


def usage_digest(chunk: int, fee: int, entries: bytes, lines: str) -> bytes:
    """Return `DecisionEntry.usage_digest` of a row of the ledger.

    ``fee`` in micro-yuan; ``entries`` and ``lines`` as the ledger keeps them, damaged or not.
    """
    whole = len(entries) & -_ENTRY_BYTES
    served = array("q", entries[:whole])
    served.byteswap()
    numbers = (chunk, fee, len(entries))
    return sha256(
        b"".join(
            (
                _USAGE_LABEL,
                *(number.to_bytes(_ENTRY_BYTES, "big", signed=True) for number in numbers),
                served.tobytes(),
                entries[whole:],
                lines.encode(),
            )
        )
    ).digest()


def refused(row: _Row, operator_of: Callable[[str], str]) -> Decision:
    """Return the decision to refuse a call, given its row of the log of refusals;
    ``operator_of`` gives the operator a client is of, "" for none."""
    method = f"/{pb.DESCRIPTOR.package}.{row.method}"
    entry = pb.DecisionEntry(
        name=DECISIONS_PREFIX + row.decision_id,
        decide_time=Timestamp(seconds=row.at),
        method=method,
        client_id=row.client_id,
        operator_id=operator_of(row.client_id),
        scope=method_scopes().get(method, ""),
        outcome=pb.DECISION_OUTCOME_REFUSED,
        reason=row.reason,
        consent=row.consent,
        purpose=row.purpose,
        request_id=row.request_id,
    )
    return Decision(entry, Source.REFUSALS, row.sequence)


def change_id(sequence: int) -> str:
    """Return what the change of a consent is known by in the log, given its sequence."""
    return f"{CHANGES_PREFIX}{sequence}"


def changed(row: _Row, receipts: Mapping[str, str]) -> Decision:
    """Return the change of a consent, given its row among consents' changes.

    With the grant goes the digest of its receipt: one that is forged later with an older date
    is not in the log (docs/decisions/0028).
    """
    entry = pb.DecisionEntry(
        name=DECISIONS_PREFIX + change_id(row.sequence),
        decide_time=Timestamp(seconds=row.at),
        operator_id=row.operator_id,
        consent=NAME_PREFIX + row.consent_id,
        consent_state=row.state,
    )
    receipt = receipts.get(row.consent_id, "")
    if row.state == GRANTED and receipt:
        entry.receipt_digest = sha256(receipt.encode()).digest()
    return Decision(entry, Source.CONSENTS, row.sequence)
