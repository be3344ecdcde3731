"""Statements as signed JSON: of closed months the same bytes, whichever key signs by now."""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from google.protobuf.json_format import MessageToDict
from joserfc import jws
from joserfc.jwk import OKPKey

from creditgate.statement_document import ALGORITHM, TYPE, StatementRegistry
from gateway.documents.extract import Extract, statement_digest
from gateway.transparency.keys import KeyOver, LogKey

_VERSION: Final = "1"


class FormerSigner(NamedTuple):
    """A key that signed documents until ``until`` (seconds, UTC)."""

    key: LogKey
    until: int


class StatementSigner:
    """Signs documents with the ``key`` of usage logs, and those of months that were closed under a
    ``former`` one, the oldest first, with that; any thread."""

    def __init__(self, key: LogKey, former: Iterable[FormerSigner] = ()) -> None:
        self._key = key
        self._former = tuple(former)

    def sign(self, extract: Extract, now: int) -> bytes:
        """Return the document of an extract; ``now`` is told of what may still change alone.

        Raises KeyOver once the present key is over, whichever is to sign: which months were closed
        under it, and whether a former one is still to be believed, is not known here any more.
        """
        if self._key.is_over:
            raise KeyOver
        # Kept by nobody: a copy would sign on once the key is over.
        key = OKPKey.import_key(self._key_of(extract.as_of).pem())
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.thumbprint()}
        stated = json.dumps(
            _stated(extract, now), ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        return jws.serialize_compact(
            header, stated.encode(), key, registry=StatementRegistry()
        ).encode()

    def _key_of(self, closed_at: int | None) -> LogKey:
        """Return the key that signed when months were closed; the present one of an open one."""
        if closed_at is None:
            return self._key
        return next((key for key, until in self._former if closed_at <= until), self._key)


def _stated(extract: Extract, now: int) -> dict[str, Any]:
    """Return what a document states: whole statements, or the rows that are wanted of them.

    Amounts are texts, as the JSON of Protocol Buffers has 64-bit numbers: no reader rounds them.
    """
    wanted = extract.wanted
    as_of = extract.as_of
    stated: dict[str, Any] = {
        "version": _VERSION,
        "iss": extract.issuer,
        "iat": now if as_of is None else as_of,
        "state": extract.state,
        **{name: value for name, value in wanted._asdict().items() if value},
        "owed_micro_yuan": str(extract.owed),
        "received_micro_yuan": str(extract.received),
        "received_by": {
            name: str(amount) for name, amount in extract.received_by("beneficiary").items()
        },
        "plan_ids": extract.ids("plan_ids"),
        "rule_ids": extract.ids("rule_ids"),
        "digests": [
            {
                "operator_id": statement.operator_id,
                "month": statement.month,
                "sha256": statement_digest(statement),
            }
            for statement in extract.statements
        ],
    }
    if wanted.whole:
        stated["statements"] = [
            MessageToDict(statement, preserving_proto_field_name=True)
            for statement in extract.statements
        ]
    else:
        stated["rows"] = [
            {name: str(value) for name, value in row._asdict().items() if value != ""}
            for row in extract.rows
        ]
    return stated
