"""Statements as signed JSON: the same statements and key, the same bytes."""

import json
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from joserfc import jws
from joserfc.jwk import OKPKey

from creditgate.statement_document import ALGORITHM, TYPE, StatementRegistry
from gateway.documents.extract import Extract, statement_digest

_VERSION: Final = "1"


class StatementSigner:
    """Signs documents with the key of usage logs, a PEM; any thread.

    Raises joserfc's errors and ValueError where ``pem`` holds no Ed25519 key.
    """

    def __init__(self, pem: bytes) -> None:
        self._key = OKPKey.import_key(pem)
        self._header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._key.thumbprint()}

    def sign(self, extract: Extract, now: int) -> bytes:
        """Return the document of an extract; ``now`` is told of what may still change alone."""
        stated = json.dumps(
            _stated(extract, now), ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        return jws.serialize_compact(
            dict(self._header), stated.encode(), self._key, registry=StatementRegistry()
        ).encode()


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
