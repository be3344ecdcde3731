"""Entries of answers, against protobuf's own encoding."""

from hashlib import sha256

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.audit.answered import answer_entry, ground_fields, usage_digest
from gateway.meter.model import pack_entries
from gateway.meter.region_asks import AskedFor

_NUMBERS = st.integers(0, (1 << 63) - 1) | st.integers(0, 1 << 22)
_TEXTS = st.text(max_size=200)
_ITEMS = st.lists(st.text("abc-.", min_size=1, max_size=30), max_size=3)
_ASKED = st.builds(AskedFor, _TEXTS, _TEXTS, _TEXTS, _TEXTS)


@st.composite
def messages(draw: st.DrawFn) -> tuple[pb.DecisionEntry, AskedFor]:
    """Draw entries of answers, with for whom they were asked."""
    asked = draw(_ASKED)
    message = pb.DecisionEntry(
        name=f"decisions/{draw(_TEXTS)}",
        sequence=draw(_NUMBERS),
        # A clock may be set anywhere.
        decide_time=Timestamp(seconds=draw(_NUMBERS | st.integers(-(1 << 62), -1))),
        client_id=draw(_TEXTS),
        operator_id=draw(_TEXTS),
        outcome=pb.DECISION_OUTCOME_ALLOWED,
        licence=draw(_TEXTS),
        consent=draw(_TEXTS),
        purpose=draw(st.sampled_from(Purpose.values())),
        asked_items=draw(_ITEMS),
        request_id=draw(_TEXTS),
        request_digest=draw(st.binary(max_size=200)),
        served_records=draw(st.integers(0, (1 << 31) - 1)),
        disclosure_sequence=draw(_NUMBERS),
        asking_region=asked.region,
        usage_digest=draw(st.binary(min_size=32, max_size=32)),
        asking_operator=asked.operator,
        asking_licence=asked.licence,
        asking_decision=asked.decision,
        licences=draw(st.sampled_from([[], ["L-1", "L-2"]])),
    )
    return message, asked


@given(messages())
def test_an_entry_is_what_protobuf_writes(drawn: tuple[pb.DecisionEntry, AskedFor]) -> None:
    message, asked = drawn
    ground = ground_fields(
        message.client_id,
        message.operator_id,
        message.licence,
        message.purpose,
        " ".join(message.asked_items),
        '[["L-1",[2]],["L-2",[]]]' if message.licences else "",
        asked,
    )
    made = answer_entry(
        message.sequence,
        message.decide_time.seconds,
        message.name.removeprefix("decisions/"),
        ground,
        message.consent,
        message.request_id,
        message.request_digest,
        message.served_records,
        message.disclosure_sequence,
        message.usage_digest,
    )
    assert made == message.SerializeToString(deterministic=True)


def test_the_digest_of_a_use_is_of_numbers_with_the_greatest_byte_first() -> None:
    numbers = b"".join(each.to_bytes(8) for each in (1, 20, 16, 5, 6))
    expected = sha256(b"creditgate/usage/v1\n" + numbers + b"[[1,2,10]]").digest()
    assert usage_digest(1, 20, pack_entries([5, 6]), "[[1,2,10]]") == expected
