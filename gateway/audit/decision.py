"""Decisions as the decision log has them, made of what was written when they were made.

What was not written is left unset: the ledger has no method, the log of refusals neither
licence nor what was asked for.
"""

from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Row

from consent.model import NAME_PREFIX
from consent.states import GRANTED
from creditgate.federated_query import CLIENT_PREFIX
from creditgate.scopes import method_scopes
from creditgate.transparency.decisions import CHANGES_PREFIX, DECISIONS_PREFIX
from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.answered import answer_entry, ground_fields, usage_digest
from gateway.audit.sources import COLUMNS, Made
from gateway.audit.tables import FoundBy, Source
from gateway.meter.licences import shares_of
from gateway.meter.model import REVERSAL
from gateway.meter.region_asks import AskedFor

_ALLOWED: Final = int(pb.DECISION_OUTCOME_ALLOWED)
# Plain integers: the driver takes them as they are.
_USAGE: Final = int(Source.USAGE)
_REFUSALS: Final = int(Source.REFUSALS)
_CONSENTS: Final = int(Source.CONSENTS)
_Row = Row[*tuple[Any, ...]]
Receipts = Callable[[Collection[str]], Mapping[str, str]]
"""Gives the receipts of consents by their ids; none for a consent never granted."""
Asks = Callable[[Collection[bytes]], Mapping[tuple[str, bytes], AskedFor]]
"""Gives for whom regions asked, by operator and payload digest, given the digests."""
_NAMES: Final = [column.name for column in COLUMNS[Source.USAGE]]
_CLIENT: Final = _NAMES.index("client_id")
_DIGEST: Final = _NAMES.index("payload_digest")
_NOBODY: Final = AskedFor("", "", "", "")


class Entry(NamedTuple):
    """One entry of the log: its leaf data, and what it is found by."""

    leaf: bytes
    found_by: FoundBy


class Entries:
    """Makes the entries of decisions; one thread at a time.

    ``operator_of`` gives the operator a client is of, "" for none. What the three raise is
    raised.
    """

    def __init__(self, operator_of: Callable[[str], str], receipts: Receipts, asks: Asks) -> None:
        self._operator_of = operator_of
        self._receipts = receipts
        self._asks = asks
        self._asked: Mapping[tuple[str, bytes], AskedFor] = {}

    def of(self, decisions: Collection[Made], first: int) -> list[Entry]:
        """Return the entries of decisions, the place of the first of which is ``first``."""
        changes = [row for _, source, row in decisions if source is Source.CONSENTS]
        receipts = self._receipts({consent_id for *_, consent_id, _ in changes}) if changes else {}
        digests = {
            row[_DIGEST]
            for _, source, row in decisions
            if source is Source.USAGE and row[_CLIENT].startswith(CLIENT_PREFIX)
        }
        self._asked = self._asks(digests) if digests else {}
        makers: dict[Source, Callable[[int, _Row], Entry]] = {
            Source.USAGE: self._allowed,
            Source.REFUSALS: self._refused,
            Source.CONSENTS: lambda index, row: _changed(index, row, receipts),
        }
        return [
            makers[source](index, row) for index, (_, source, row) in enumerate(decisions, first)
        ]

    def _allowed(self, index: int, row: _Row) -> Entry:
        (
            sequence,
            at,
            decision_id,
            client_id,
            operator_id,
            licence,
            consent,
            purpose,
            request_id,
            payload_digest,
            served_records,
            disclosure_sequence,
            chunk,
            fee,
            lines,
            entries,
            asked_items,
            kind,
            licences,
        ) = row
        if kind == REVERSAL:
            return _credited(index, row)
        asked = self._asked.get((operator_id, payload_digest), _NOBODY) if self._asked else _NOBODY
        ground = ground_fields(
            client_id, operator_id, licence, purpose, asked_items, licences, asked
        )
        use = usage_digest(chunk, fee, entries, lines)
        leaf = answer_entry(
            index,
            at,
            decision_id,
            ground,
            consent,
            request_id,
            payload_digest,
            served_records,
            disclosure_sequence,
            use,
        )
        found_by = (
            index,
            at,
            decision_id,
            client_id,
            operator_id,
            request_id,
            _ALLOWED,
            0,
            _USAGE,
            sequence,
        )
        return Entry(leaf, found_by)

    def _refused(self, index: int, row: _Row) -> Entry:
        sequence, at, decision_id, client_id, name, reason, consent, purpose, request_id = row
        operator_id = self._operator_of(client_id)
        method = f"/{pb.DESCRIPTOR.package}.{name}"
        # Without a reason the call was answered, by what is not metered.
        outcome = pb.DECISION_OUTCOME_REFUSED if reason else pb.DECISION_OUTCOME_ALLOWED
        message = pb.DecisionEntry(
            name=DECISIONS_PREFIX + decision_id,
            sequence=index,
            decide_time=Timestamp(seconds=at),
            method=method,
            client_id=client_id,
            operator_id=operator_id,
            scope=method_scopes().get(method, ""),
            outcome=outcome,
            reason=reason,
            consent=consent,
            purpose=purpose,
            request_id=request_id,
        )
        found_by = (
            index,
            at,
            decision_id,
            client_id,
            operator_id,
            request_id,
            outcome,
            reason,
            _REFUSALS,
            sequence,
        )
        return Entry(message.SerializeToString(deterministic=True), found_by)


def _credited(index: int, row: _Row) -> Entry:
    """Of what is credited: nobody called, and nothing was served."""
    (
        sequence,
        at,
        decision_id,
        client_id,
        operator_id,
        licence,
        consent,
        purpose,
        request_id,
        payload_digest,
        _,
        disclosure_sequence,
        chunk,
        fee,
        lines,
        entries,
        *_,
        licences,
    ) = row
    message = pb.DecisionEntry(
        name=DECISIONS_PREFIX + decision_id,
        sequence=index,
        decide_time=Timestamp(seconds=at),
        client_id=client_id,
        operator_id=operator_id,
        licence=licence,
        consent=consent,
        purpose=purpose,
        request_id=request_id,
        request_digest=payload_digest,
        disclosure_sequence=disclosure_sequence,
        usage_digest=usage_digest(chunk, fee, entries, lines),
        credit=True,
        licences=[share.licence for share in shares_of(licences)],
    )
    found_by = (
        index,
        at,
        decision_id,
        client_id,
        operator_id,
        request_id,
        pb.DECISION_OUTCOME_UNSPECIFIED,
        0,
        _USAGE,
        sequence,
    )
    return Entry(message.SerializeToString(deterministic=True), found_by)


def change_id(sequence: int) -> str:
    """Return what the change of a consent is known by in the log, given its sequence."""
    return f"{CHANGES_PREFIX}{sequence}"


def _changed(index: int, row: _Row, receipts: Mapping[str, str]) -> Entry:
    """With the grant goes the digest of its receipt: one that is forged later with an older
    date is not in the log (docs/decisions/0028)."""
    sequence, at, operator_id, consent_id, state = row
    decision_id = change_id(sequence)
    message = pb.DecisionEntry(
        name=DECISIONS_PREFIX + decision_id,
        sequence=index,
        decide_time=Timestamp(seconds=at),
        operator_id=operator_id,
        consent=NAME_PREFIX + consent_id,
        consent_state=state,
    )
    receipt = receipts.get(consent_id, "")
    if state == GRANTED and receipt:
        message.receipt_digest = sha256(receipt.encode()).digest()
    found_by = (
        index,
        at,
        decision_id,
        "",
        operator_id,
        "",
        pb.DECISION_OUTCOME_UNSPECIFIED,
        0,
        _CONSENTS,
        sequence,
    )
    return Entry(message.SerializeToString(deterministic=True), found_by)
