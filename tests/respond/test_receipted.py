"""Receipts of answers, against protobuf's own encoding."""

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.disclose.tables import NO_END
from gateway.respond.receipted import Served, receipt_bytes

_NUMBERS = st.integers(0, (1 << 63) - 1) | st.integers(0, 1 << 22)
_INSTANTS = st.integers(1, 1 << 33)
_USAGE = st.builds(UsageReceipt, leaf=st.binary(max_size=400), signature=st.binary(max_size=64))
_SERVED = st.builds(
    Served,
    decision_id=st.text(max_size=200),
    served_at=_INSTANTS,
    usable_until=_INSTANTS | st.just(NO_END),
    disclosure_sequence=_NUMBERS,
    charged_entries=st.integers(0, (1 << 31) - 1),
    fee=_NUMBERS,
    replayed=st.booleans(),
    usage=st.just(b"") | _USAGE.map(lambda usage: usage.SerializeToString(deterministic=True)),
    first_served_at=st.none() | _INSTANTS,
)


@given(_SERVED)
def test_a_receipt_is_what_protobuf_writes(served: Served) -> None:
    receipt = Receipt(
        decision_id=served.decision_id,
        serve_time=Timestamp(seconds=served.served_at),
        disclosure_sequence=served.disclosure_sequence,
        charged_entries=served.charged_entries,
        charged_micro_yuan=served.fee,
        replayed=served.replayed,
    )
    if served.usable_until != NO_END:
        receipt.usable_until.seconds = served.usable_until
    if served.usage:
        receipt.usage.ParseFromString(served.usage)
    if served.first_served_at is not None:
        receipt.first_serve_time.seconds = served.first_served_at
    assert receipt_bytes(served) == receipt.SerializeToString(deterministic=True)
