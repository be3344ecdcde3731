"""Uses as CloudEvents. Pure.

Source: CloudEvents 1.0.2, section 3 (attributes); JSON Event Format 1.0.2, sections 3 and 4
(batch); HTTP Protocol Binding 1.0.2, section 3.3 (batched content mode).
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from creditgate.signed_document import PURPOSES
from creditgate.v1.usage_log_pb2 import UsageKind
from gateway.exports.model import Use
from gateway.settle.month import utc_text
from gateway.settle.usage import use_line_name

TYPE: Final = "creditgate.usage.v1"
"""The one type of all uses, so that a meter sums what was given and what was credited."""
# Without a charset, which the format fixes: receivers such as OpenMeter know the bare name only.
BATCH_TYPE: Final = "application/cloudevents-batch+json"
_KIND: Final = "USAGE_KIND_"


def event_of(use: Use, issuer: str) -> dict[str, Any]:
    """Return the CloudEvent of a use: always the same one.

    ``source`` and ``id`` together never name another use; ``subject`` is the operator that
    pays, ``month`` that of the use, whichever statement has it. Money is in micro-yuan, at the
    list price of serving.
    """
    return {
        "specversion": "1.0",
        "type": TYPE,
        "source": f"{issuer}/usage",
        "id": use_line_name(use.operator_id, use.usage_index, use.line),
        "subject": use.operator_id,
        "time": utc_text(use.at),
        "datacontenttype": "application/json",
        "data": {
            "kind": UsageKind.Name(UsageKind.ValueType(use.kind)).removeprefix(_KIND),
            "month": utc_text(use.rated_at)[:7],
            "usage_index": use.usage_index,
            "client_id": use.client_id,
            "request_id": use.request_id,
            **({"region_request_id": use.region_request_id} if use.region_request_id else {}),
            "chunk": use.chunk,
            "decision_id": use.decision_id,
            "licence": use.licence,
            "purpose": PURPOSES[use.purpose],
            "item": use.item,
            "source": use.source,
            "region": use.region,
            "records": use.records,
            "unit_price_micro_yuan": use.unit_price,
            "fee_micro_yuan": use.fee,
            **({} if use.reversed_index is None else {"reversed_index": use.reversed_index}),
        },
    }


def jsonl_of(uses: Iterable[Use], issuer: str) -> bytes:
    """Return events as JSON Lines, one a line."""
    return b"".join(_json(event_of(use, issuer)) + b"\n" for use in uses)


def batch_of(uses: Iterable[Use], issuer: str) -> bytes:
    """Return events as one batch (JSON Event Format, section 4)."""
    return b"[" + b",".join(_json(event_of(use, issuer)) for use in uses) + b"]"


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
