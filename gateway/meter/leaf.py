"""Leaves of usage logs: a ledger's row as the bytes of its UsageLeaf. Pure.

The bytes are a function of the row and of the names of its revenue lines alone, and equal to
`UsageLeaf.SerializeToString(deterministic=True)`. They are put together by hand from parts that
recur: a leaf is a share of a unary call's budget of microseconds.
Source: Protocol Buffers encoding; fields in ascending order, defaults left out.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final

from creditgate.v1.usage_log_pb2 import UsageLicence, UsageLine
from gateway.disclose.model import Line
from gateway.meter.fields import Heads, bytes_field, number_field
from gateway.meter.licences import shares_of
from gateway.meter.model import UsageRow, lines_of

MOST_DETAIL_BYTES: Final = 2_048
"""More of lines, revisions and licences is not in the leaf itself, but its digest: entries of a log have
a bound, and are read by hundreds."""
_MOST_KNOWN: Final = 8_192
_REQUEST: Final = Heads(b"\x2a")
_PAYLOAD: Final = Heads(b"\x3a")
_CONSENT: Final = Heads(b"\x4a")
_DECISION: Final = Heads(b"\x5a")
_RECORDS: Final = Heads(b"\x82\x01")
_REVISIONS: Final = Heads(b"\x8a\x01")
_DETAIL_DIGEST: Final = b"\x9a\x01\x20"
# Tag and length of the revisions take less.
_MOST_HEAD_BYTES: Final = 16


def detail_of(row: UsageRow, lines: bytes) -> bytes:
    """Return the serialised UsageDetail that the leaf of a row has the digest of, b"" where it
    has all in itself; ``lines`` as `LineFields.of` gives them."""
    licences = _licences(row.licences) if row.licences else b""
    if len(lines) + len(row.entries) + len(licences) < MOST_DETAIL_BYTES - _MOST_HEAD_BYTES:
        return b""
    detail = lines + _REVISIONS[len(row.entries)] + row.entries + licences
    return detail if len(detail) > MOST_DETAIL_BYTES else b""


def leaf_bytes(row: UsageRow, lines: bytes, detail: bytes) -> bytes:
    """Return the leaf of a row; ``lines`` as `LineFields.of`, ``detail`` as `detail_of` give
    them."""
    # Taken apart at once: to ask a row for each by its name costs half as much as all else.
    (
        operator_id,
        client_id,
        request_id,
        chunk,
        payload_digest,
        licence,
        consent,
        purpose,
        decision_id,
        served_at,
        disclosure_sequence,
        _,
        fee,
        _,
        entries,
        kind,
        usage_index,
        records_digest,
        reversed_index,
        *_,
        licences,
    ) = row
    if detail:
        lines = entries = b""
        end = _DETAIL_DIGEST + sha256(detail).digest()
    else:
        end = _licences(licences) if licences else b""
    if reversed_index:
        end = number_field(b"\x90\x01", reversed_index) + end
    whose, client = _party(kind, operator_id, client_id)
    request, under, decision = request_id.encode(), consent.encode(), decision_id.encode()
    return b"".join(
        (
            whose,
            number_field(b"\x18", usage_index),
            client,
            _REQUEST[len(request)],
            request,
            number_field(b"\x30", chunk) if chunk else b"",
            _PAYLOAD[len(payload_digest)],
            payload_digest,
            _licensed(licence),
            _CONSENT[len(under)],
            under,
            _recurring_number(b"\x50", purpose),
            _DECISION[len(decision)],
            decision,
            _moment(served_at, disclosure_sequence),
            lines,
            _recurring_number(b"\x78", fee),
            _RECORDS[len(records_digest)],
            records_digest,
            _REVISIONS[len(entries)],
            entries,
            end,
        )
    )


class LineFields:
    """Lines of rows as the fields of leaves; remembers those met lately. One thread at a time."""

    def __init__(self) -> None:
        self._names: dict[int, Line] = {}
        self._known: dict[str, bytes] = {}

    def unknown(self, texts: Iterable[str]) -> set[int]:
        """Return the numbers of revenue lines whose names have yet to be learnt."""
        met = {text for text in texts if text not in self._known}
        return {line.line_no for text in met for line in lines_of(text)} - self._names.keys()

    def learn(self, lines: Mapping[int, Line]) -> None:
        """Take note of the names of revenue lines, which never change."""
        self._names.update(lines)

    def of(self, text: str) -> bytes:
        """Return the lines of a row as UsageLeaf has them. Raises LookupError for one without
        a name."""
        fields = self._known.get(text)
        if fields is None:
            fields = b"".join(
                bytes_field(
                    b"\x72",
                    UsageLine(
                        item=line.item,
                        source=line.source,
                        region=line.region,
                        entries=records,
                        unit_price_micro_yuan=unit_price,
                    ).SerializeToString(deterministic=True),
                )
                for line, records, unit_price in (
                    (self._names[line_no], records, unit_price)
                    for line_no, records, unit_price in lines_of(text)
                )
            )
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[text] = fields
        return fields


@lru_cache(_MOST_KNOWN)
def _recurring_number(tag: bytes, number: int) -> bytes:
    return number_field(tag, number)


@lru_cache(_MOST_KNOWN)
def _party(kind: int, operator_id: str, client_id: str) -> tuple[bytes, bytes]:
    """Return what stands before a leaf's place, and what behind it, up to the request."""
    whose = number_field(b"\x08", kind) + bytes_field(b"\x12", operator_id.encode())
    return whose, bytes_field(b"\x22", client_id.encode())


@lru_cache(_MOST_KNOWN)
def _licensed(licence: str) -> bytes:
    return bytes_field(b"\x42", licence.encode())


@lru_cache(_MOST_KNOWN)
def _licences(text: str) -> bytes:
    """Return shares of a row as UsageLeaf has them."""
    return b"".join(
        bytes_field(
            b"\xa2\x01",
            UsageLicence(licence=share.licence, entries=share.records).SerializeToString(
                deterministic=True
            ),
        )
        for share in shares_of(text)
    )


@lru_cache(_MOST_KNOWN)
def _moment(served_at: int, disclosure_sequence: int) -> bytes:
    return number_field(b"\x60", served_at) + number_field(b"\x68", disclosure_sequence)
