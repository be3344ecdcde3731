"""What is exported: uses of the ledger, one for each revenue line of an answer."""

from typing import NamedTuple


class Use(NamedTuple):
    """Records of one item, source and region that one answer gave at one list price.

    ``usage_index`` is the answer's place in the operator's usage log, ``line`` the use's in
    the answer, from 0; ``kind`` a UsageKind, ``purpose`` a Purpose. ``at`` is when the row was
    written, ``rated_at`` when the answer was given that it is or credits: its month is that of
    the use, whichever statement pays (seconds, UTC). ``records`` and ``fee`` (micro-yuan, at list
    price) are negative in a reversal, whose ``reversed_index`` is the place of the answer credited,
    else None. ``request_id`` is the operator's own; of another region's records
    ``region_request_id`` is that which the region was asked with, as the usage log has it, "" of
    own ones.
    """

    operator_id: str
    usage_index: int
    line: int
    kind: int
    client_id: str
    request_id: str
    chunk: int
    licence: str
    consent: str
    purpose: int
    decision_id: str
    at: int
    rated_at: int
    reversed_index: int | None
    item: str
    source: str
    region: str
    records: int
    unit_price: int
    fee: int
    region_request_id: str = ""
